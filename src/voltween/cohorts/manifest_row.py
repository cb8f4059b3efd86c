"""A case of a cohort: one row of its manifest."""

from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Case:
    """One scan of a manifest and the files that belong to it."""

    name: str
    image: Path
    labels: Path | None
    points: Path | None
    split: str
    subject: str = ""
    """The person who was scanned; empty if it is not known."""
    cohort: str = ""
    """The cohort that the case comes from; empty if it is not known."""

    @property
    def person(self) -> str:
        """The subject or, if it is not known, the name of the case."""
        return self.subject or self.name

    @property
    def files(self) -> list[Path]:
        """The files of the case: image, labels, points, as far as it has them."""
        return [path for path in (self.image, self.labels, self.points) if path]

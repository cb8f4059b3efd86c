"""A case of a cohort: one row of its manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltween.io import NamedLabels

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Case:
    """One scan of a manifest and the files that belong to it."""

    name: str
    image: Path
    """The scan; for a case of a label map alone, the label map."""
    labels: Path | None
    points: Path | None
    split: str
    subject: str = ""
    """The person who was scanned; empty if it is not known."""
    cohort: str = ""
    """The cohort that the case comes from; empty if it is not known."""
    named_labels: NamedLabels = ()
    """The labels of a file that states names, numbered as in the other cases."""

    @property
    def has_scan(self) -> bool:
        """Whether there is a scan, not only a label map."""
        return self.image != self.labels

    @property
    def person(self) -> str:
        """The subject or, if it is not known, the name of the case."""
        return self.subject or self.name

    @property
    def label_facts(self) -> dict[str, Any]:
        """Facts on the labels besides their file; empty if it states no names."""
        named = [list(label) for label in self.named_labels]
        return {"named_labels": named} if named else {}

    @property
    def files(self) -> list[Path]:
        """The files of the case: image, labels, points, as far as it has them."""
        return [path for path in (self.image, self.labels, self.points) if path]

"""A case of a cohort: one row of its manifest."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween.cohorts.label_names import LabelNumbers
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
    label_numbers: LabelNumbers | None = field(default=None, compare=False, repr=False)
    """The numbers of labels in the files of all cases."""

    @property
    def named_labels(self) -> NamedLabels:
        """The labels of a file that states names, numbered as in the other cases."""
        if self.labels is None or self.label_numbers is None:
            return ()
        return self.label_numbers.of(self.labels)

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

    def __getstate__(self) -> dict[str, Any]:
        """The state for another process: of label numbers, those of this case."""
        numbers = self.label_numbers
        if numbers is not None:
            numbers = numbers.alone(self.labels) if self.labels else None
        return vars(self) | {"label_numbers": numbers}

"""Labels of the two scans of a pair by the names that their files state."""

from pathlib import Path

from voltween import io
from voltween.io import NamedLabels
from voltween.spatial import LabelMap

Names = dict[int, str]


def names_of_pair(fixed: Path | None, moving: Path | None) -> Names:
    """The names of labels in the files of a pair, by the numbers of the fixed scan."""
    of_fixed, of_moving = _numbered(fixed, moving)
    return {label.number: label.name for label in (*of_moving, *of_fixed)}


def number_by_names(labels: LabelMap, fixed: Path | None, moving: Path) -> LabelMap:
    """The moving labels with the numbers that the fixed file gives to their names.

    Structures that the fixed scan has not get numbers of their own. Where only one file
    states names, the numbers stay.
    """
    return io.renumber(labels, _numbered(fixed, moving)[1])


def _numbered(fixed: Path | None, moving: Path | None) -> list[NamedLabels]:
    paths = (fixed, moving)
    return io.number_alike([io.structure_names(p) if p else {} for p in paths])

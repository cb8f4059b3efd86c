"""Names of structures in label files that state them, and labels of two scans by name.

Each DICOM segmentation or structure set numbers its structures in its own way.
"""

from itertools import count
from pathlib import Path

import numpy as np

from voltween import io
from voltween.spatial import LabelMap

Names = dict[int, str]


def names_of_pair(fixed: Path | None, moving: Path | None) -> Names:
    """The names of labels in the files of a pair, by the numbers of the fixed scan."""
    fixed_names, moving_names = _names(fixed), _names(moving)
    numbers = _new_numbers(fixed_names, moving_names)
    return {numbers.get(n, n): name for n, name in moving_names.items()} | fixed_names


def number_by_names(labels: LabelMap, fixed: Path | None, moving: Path) -> LabelMap:
    """The moving labels with the numbers that the fixed file gives to their names.

    Structures that the fixed scan has not get numbers of their own. Where only one file
    states names, the numbers stay.
    """
    numbers = _new_numbers(_names(fixed), _names(moving))
    if all(old == new for old, new in numbers.items()):
        return labels
    table = np.zeros(1 + max(labels.data.max(), *numbers), np.uint16)
    table[[*numbers]] = [*numbers.values()]
    return LabelMap(table[labels.data], labels.grid)


def _names(path: Path | None) -> Names:
    return {} if path is None else io.structure_names(path)


def _new_numbers(fixed: Names, moving: Names) -> dict[int, int]:
    """The new number of every moving label; none where a file states no names."""
    if not fixed or not moving:
        return {}
    known = {name.casefold(): number for number, name in fixed.items()}
    free = count(1 + max(fixed))
    return {
        number: known[name.casefold()] if name.casefold() in known else next(free)
        for number, name in moving.items()
    }

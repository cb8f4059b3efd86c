"""Labels of several files by the names that the files state.

Each DICOM segmentation or structure set numbers its structures in its own way.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

from voltween.spatial import LabelMap


class NamedLabel(NamedTuple):
    """A label of a file that states names."""

    stored: int
    """Its number in the file."""
    number: int
    """The number of its structure in all files that were numbered alike."""
    name: str


NamedLabels = tuple[NamedLabel, ...]
"""The labels of one file; none if it states no names."""


def number_alike(names: Sequence[Mapping[int, str]]) -> list[NamedLabels]:
    """The labels of every file, with one number for all structures of one name.

    The first file that states names keeps its numbers. Structures that it lacks get
    numbers above its own. Upper and lower case are one. If a file has a name several
    times, its first structure of that name belongs to the first one of other files, and
    so on.

    Args:
        names: Of every file, the names of its labels by their numbers (see
            `structure_names`); none if it states no names.
    """
    known: dict[tuple[str, int], int] = {}
    return [tuple(_numbered(of_file, known)) for of_file in names]


def _numbered(
    names: Mapping[int, str], known: dict[tuple[str, int], int]
) -> Iterator[NamedLabel]:
    """The labels of a file; structures that are not known yet are added to `known`."""
    # All structures of the first file are unknown and keep their numbers.
    free = count(1 + max(known.values())) if known else iter(names)
    seen: Counter[str] = Counter()
    for stored, name in names.items():
        key = name.casefold(), seen[name.casefold()]
        seen[name.casefold()] += 1
        if key not in known:
            known[key] = next(free)
        yield NamedLabel(stored, known[key], name)


def renumber(labels: LabelMap, named: NamedLabels) -> LabelMap:
    """The labels of a file with the numbers of their structures.

    Args:
        labels: The labels, as stored in the file.
        named: Its labels from `number_alike`; without any, the numbers stay.
    """
    if all(label.stored == label.number for label in named):
        return labels
    last = max(int(labels.data.max(initial=0)), *(label.stored for label in named))
    largest = max(label.number for label in named)
    kind = np.uint16 if largest <= np.iinfo(np.uint16).max else np.uint32
    table = np.zeros(1 + last, kind)
    table[[label.stored for label in named]] = [label.number for label in named]
    return LabelMap(table[labels.data], labels.grid)

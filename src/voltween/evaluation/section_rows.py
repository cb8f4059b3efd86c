"""The rows of a figure of sections: through landmarks or structures; and the mask."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voltween.cohorts import Scan
from voltween.errors import InputError
from voltween.figures import PLANES, View, plane_view
from voltween.spatial import LabelMap, labels_in_common

MOST_ROWS = 3


@dataclass(frozen=True, eq=False)
class SectionRow:
    """A row of a figure: an axial section of the fixed scan."""

    name: str
    view: View
    landmark: int | None = None
    """Index of the landmark that the section goes through, from 0."""


def organ_of(
    scans: tuple[Scan, Scan], structures: Sequence[int] = ()
) -> tuple[LabelMap, LabelMap]:
    """Masks, as label 1, of the union of structures of both scans, or of all labels.

    Raises:
        InputError: If a scan has no labels, the scans have none in common, or a scan
            lacks a structure.
    """
    fixed, moving = labels_of(scans)
    check_structures(structures, labels_in_common(fixed, moving))

    def union(labels: LabelMap) -> LabelMap:
        shown = np.isin(labels.data, structures) if structures else labels.data > 0
        return LabelMap(shown.astype(np.uint8), labels.grid)

    return union(fixed), union(moving)


def labels_of(scans: tuple[Scan, Scan]) -> tuple[LabelMap, LabelMap]:
    """The labels of both scans.

    Raises:
        InputError: If a scan has none.
    """
    fixed, moving = (scan.labels for scan in scans)
    if fixed is None or moving is None:
        raise InputError(
            about=" and ".join(scan.name for scan in scans),
            expected="labels of both scans",
            got="none of one scan",
            advice="name them in the manifest's column labels",
        )
    return fixed, moving


def check_structures(structures: Sequence[int], shared: Sequence[int]) -> None:
    """Checks that structures are among the labels of both scans.

    Raises:
        InputError: If not.
    """
    if absent := set(structures) - set(shared):
        raise InputError(
            about="structures",
            expected=f"labels of both scans, such as {list(shared[:20])}",
            got=sorted(absent),
        )


def largest_structures(labels: LabelMap, shared: Sequence[int]) -> list[int]:
    """The shared labels with the most voxels, at most three, ascending."""
    values, counts = np.unique(labels.data, return_counts=True)
    sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    by_size = sorted(shared, key=lambda label: -sizes[label])
    return sorted(by_size[:MOST_ROWS])


def chosen_rows(
    scans: tuple[Scan, Scan],
    *,
    landmarks: Sequence[int] = (),
    structures: Sequence[int] = (),
) -> list[SectionRow]:
    """The rows through landmarks; without landmarks, through centers of structures.

    Landmarks are numbered from 1. Without a choice, the rows go through the first three
    landmarks, or the three largest structures.

    Raises:
        InputError: If a scan lacks a landmark that is asked for.
    """
    fixed, moving = scans
    points = fixed.points if moving.points is not None else None
    if points is not None and len(points.mm):
        numbers = landmarks or range(1, min(MOST_ROWS, len(points.mm)) + 1)
        _check_landmarks(numbers, len(points.mm))
        return [_through_landmark(fixed, number - 1) for number in numbers]
    if landmarks:
        raise InputError(
            about=f"{fixed.name} and {moving.name}",
            expected="landmarks of both scans",
            got="none of one scan",
            advice="name them in the manifest's column points",
        )
    labels, other = labels_of(scans)
    chosen = structures or largest_structures(labels, labels_in_common(labels, other))
    return [_through_structure(fixed, labels, label) for label in chosen]


def _through_landmark(fixed: Scan, index: int) -> SectionRow:
    points = fixed.points
    assert points is not None
    name = f"landmark {points.names[index] if points.names else index + 1}"
    view = plane_view(PLANES[0], fixed.image.grid, points.mm[index])
    return SectionRow(name, view, index)


def _through_structure(fixed: Scan, labels: LabelMap, label: int) -> SectionRow:
    center = np.argwhere(labels.data == label).mean(axis=0)
    center_mm = labels.grid.voxel_to_world(center)
    view = plane_view(PLANES[0], fixed.image.grid, center_mm)
    return SectionRow(f"structure {label}", view)


def _check_landmarks(numbers: Sequence[int], count: int) -> None:
    if absent := [n for n in numbers if not 1 <= n <= count]:
        raise InputError(
            about="landmarks", expected=f"numbers from 1 to {count}", got=absent
        )

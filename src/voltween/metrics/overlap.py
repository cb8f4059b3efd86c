"""Overlap of two label maps."""

import math
import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Integer

from voltween.errors import InputError, SuspiciousInputWarning

_MOST_BINS = 1 << 16  # labels of a histogram that is quicker than a search for labels


def dice_per_label(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> dict[int, float]:
    """Computes the Dice coefficient, 0 to 1, of each label in either map.

    Dice is 2 |F and M| / (|F| + |M|), with F and M the voxels of the label in the two
    maps. Label 0 is background and is left out.

    Raises:
        InputError: If the two maps have different shapes.
    """
    check_same_shape(fixed, moved)
    sizes_fixed, sizes_moved, sizes_shared = _label_sizes(fixed, moved)
    return {
        label: 2
        * sizes_shared.get(label, 0)
        / (sizes_fixed.get(label, 0) + sizes_moved.get(label, 0))
        for label in sorted(sizes_fixed | sizes_moved)
    }


def warn_if_nothing_overlaps(dice: Iterable[float], *, name: object) -> None:
    """Warns if the Dice of every structure is 0; `name` says of what they are.

    A registration that is merely poor leaves some overlap. Labels that do not belong to
    their scans, or scans that were not brought together, leave none.
    """
    values = list(dice)
    if values and not any(values):
        warnings.warn(
            f"{name}: none of {len(values)} structures overlaps, all Dice are 0: are "
            "these the labels of these scans, and did the registration work?",
            SuspiciousInputWarning,
            stacklevel=3,
        )


def iou_of_union(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> float:
    """Computes intersection over union, 0 to 1, of the unions of all labels.

    The union is where labels are > 0: the organ, such as the brain of a map of its
    regions, which the paper measures. NaN if both maps have background only.

    Raises:
        InputError: If the two maps have different shapes.
    """
    check_same_shape(fixed, moved)
    in_fixed, in_moved = fixed > 0, moved > 0
    total = np.count_nonzero(in_fixed | in_moved)
    shared = np.count_nonzero(in_fixed & in_moved)
    return float(shared / total) if total else math.nan


def iou_from_dice(dice: float) -> float:
    """Intersection over union (Jaccard index, the paper's Seg. IoU) of a Dice value."""
    return dice / (2 - dice)


def check_same_shape(
    fixed: Integer[np.ndarray, "..."], moved: Integer[np.ndarray, "..."]
) -> None:
    """Checks that two label maps can be compared voxel by voxel.

    Raises:
        InputError: If their shapes differ.
    """
    if fixed.shape != moved.shape:
        raise InputError(
            about="label maps",
            expected="two maps on one grid",
            got=f"shapes {fixed.shape} and {moved.shape}",
            advice="resample the moving map onto the fixed grid",
        )


def _label_sizes(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """Voxels of each label in the fixed map, in the moved map, and in both."""
    ends = [int(end) for data in (fixed, moved) for end in (data.min(), data.max())]
    low, high = min(0, *ends), max(ends)
    if high - low >= _MOST_BINS or high > np.iinfo(np.int64).max:
        return (
            _voxels_per_label(fixed),
            _voxels_per_label(moved),
            _voxels_per_label(fixed[fixed == moved]),
        )
    counts = np.zeros((3, high - low + 1), dtype=np.int64)
    for planes in zip(fixed, moved, strict=True):  # one pass, a plane at a time
        one, other = (_bins(plane, low) for plane in _labeled_parts(*planes))
        for row, voxels in zip(counts, (one, other, one[one == other]), strict=True):
            row += np.bincount(voxels, minlength=len(row))
    in_fixed, in_moved, in_both = (_sizes(row, low) for row in counts)
    return in_fixed, in_moved, in_both


def _labeled_parts(
    one: Integer[np.ndarray, "j k"], other: Integer[np.ndarray, "j k"]
) -> tuple[Integer[np.ndarray, "_ _"], Integer[np.ndarray, "_ _"]]:
    """The parts of two planes outside of which both are background."""
    is_row = one.any(axis=1) | other.any(axis=1)
    is_column = one.any(axis=0) | other.any(axis=0)
    rows, columns = (
        slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0)
        for places in map(np.flatnonzero, (is_row, is_column))
    )
    return one[rows, columns], other[rows, columns]


def _bins(labels: Integer[np.ndarray, "j k"], low: int) -> Integer[np.ndarray, " n"]:
    """The numbers of the labels' bins, the first of which is that of `low`."""
    is_plain = labels.dtype.kind == "u" and labels.dtype.itemsize < 8
    return labels.ravel() if is_plain and low == 0 else labels.ravel().astype(int) - low


def _sizes(counts: Integer[np.ndarray, " n"], low: int) -> dict[int, int]:
    """Voxels of each label that occurs; the counts begin with that of `low`."""
    present = np.flatnonzero(counts)
    pairs = zip(present.tolist(), counts[present].tolist(), strict=True)
    return {low + n: count for n, count in pairs if low + n != 0}


def _voxels_per_label(data: Integer[np.ndarray, "*n"]) -> dict[int, int]:
    """Voxels of each label, in any range of labels, which takes longer."""
    labels, counts = np.unique(data, return_counts=True)
    pairs = zip(labels.tolist(), counts.tolist(), strict=True)
    return {label: count for label, count in pairs if label != 0}

"""Overlap of two label maps."""

import numpy as np
from jaxtyping import Integer

from voltween.errors import InputError


def dice_per_label(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> dict[int, float]:
    """Dice coefficient, 0 to 1, of each label in either map; 0 is background.

    2 |F and M| / (|F| + |M|), with F and M the voxels of the label.

    Raises:
        InputError: If the two maps have different shapes.
    """
    check_share_one_grid(fixed, moved)
    sizes_fixed = _voxels_per_label(fixed)
    sizes_moved = _voxels_per_label(moved)
    shared = _voxels_per_label(fixed[fixed == moved])
    return {
        label: 2
        * shared.get(label, 0)
        / (sizes_fixed.get(label, 0) + sizes_moved.get(label, 0))
        for label in sorted(sizes_fixed | sizes_moved)
    }


def iou_from_dice(dice: float) -> float:
    """Intersection over union (Jaccard index, the paper's Seg. IoU) of a Dice value."""
    return dice / (2 - dice)


def check_share_one_grid(
    fixed: Integer[np.ndarray, "..."], moved: Integer[np.ndarray, "..."]
) -> None:
    """Refuses label maps of different shapes.

    Raises:
        InputError: If the shapes differ.
    """
    if fixed.shape != moved.shape:
        raise InputError(
            f"label maps must share one grid, got {fixed.shape} and {moved.shape}: "
            "resample the moving one onto the fixed grid"
        )


def _voxels_per_label(data: Integer[np.ndarray, "*n"]) -> dict[int, int]:
    labels, counts = np.unique(data, return_counts=True)
    pairs = zip(labels.tolist(), counts.tolist(), strict=True)
    return {label: count for label, count in pairs if label != 0}

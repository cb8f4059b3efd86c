"""Distances between the surfaces of labels."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from voltween.metrics.overlap import check_share_one_grid


@dataclass(frozen=True)
class SurfaceDistances:
    """How far apart a label's surfaces are in two maps, mm. NaN: in one map alone."""

    hd95_mm: float
    """95th percentile Hausdorff distance."""
    surface_distance_mm: float
    """Mean symmetric surface distance."""


def surface_distances_per_label(
    fixed: Integer[np.ndarray, "i j k"],
    moved: Integer[np.ndarray, "i j k"],
    *,
    spacing_mm: Float[np.ndarray, " 3"],
) -> dict[int, SurfaceDistances]:
    """Surface distances, mm, of each label in either map; 0 is background.

    A label's surface is those of its voxels that have a face neighbor outside it, or
    lie at the border of the grid. From every voxel of one surface, the distance to the
    nearest voxel center of the other is taken, both ways. HD95 is the larger of the two
    95th percentiles, the mean that of all distances of both ways. (Learn2Reg's HD95 is
    in voxels and weighs surface voxels by area.)

    Raises:
        InputError: If the two maps have different shapes.
    """
    check_share_one_grid(fixed, moved)
    return {
        label: _surface_distances(
            fixed[box] == label, moved[box] == label, spacing_mm=spacing_mm
        )
        for label, box in _box_per_label(fixed, moved).items()
    }


def _box_per_label(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> dict[int, tuple[slice, ...]]:
    """The smallest box of voxels that holds the label in both maps, by label."""
    from scipy.ndimage import find_objects  # not for those who want Dice alone: 0.2 s

    labels, places = np.unique([fixed, moved], return_inverse=True)
    boxes = find_objects(places.reshape(2, *fixed.shape) + 1)
    pairs = zip(labels.tolist(), boxes, strict=True)
    return {label: box[1:] for label, box in pairs if label != 0}


def _surface_distances(
    fixed: Bool[np.ndarray, "i j k"],
    moved: Bool[np.ndarray, "i j k"],
    *,
    spacing_mm: Float[np.ndarray, " 3"],
) -> SurfaceDistances:
    # MONAI takes 2 s to import, more than all labels of a brain take to measure.
    from monai.metrics import get_mask_edges, get_surface_distance

    if not (fixed.any() and moved.any()):
        return SurfaceDistances(math.nan, math.nan)
    one, other = get_mask_edges(fixed, moved)
    there = get_surface_distance(one, other, spacing=spacing_mm)
    back = get_surface_distance(other, one, spacing=spacing_mm)
    return SurfaceDistances(
        hd95_mm=max(float(np.percentile(d, 95)) for d in (there, back)),
        surface_distance_mm=float(np.concatenate([there, back]).mean()),
    )

"""How well two scans agree: overlap and surfaces of labels, distances of landmarks."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from voltween.errors import InputError
from voltween.space import Grid
from voltween.transform import Affine, Transform
from voltween.volume import Points


@dataclass(frozen=True)
class SurfaceDistances:
    """How far apart a label's surfaces are in two maps, mm. NaN: in one map alone."""

    hd95_mm: float
    """95th percentile Hausdorff distance."""
    surface_distance_mm: float
    """Mean symmetric surface distance."""


def dice_per_label(
    fixed: Integer[np.ndarray, "i j k"], moved: Integer[np.ndarray, "i j k"]
) -> dict[int, float]:
    """Dice coefficient, 0 to 1, of each label in either map; 0 is background.

    2 |F and M| / (|F| + |M|), with F and M the voxels of the label.

    Raises:
        InputError: If the two maps have different shapes.
    """
    _check_share_one_grid(fixed, moved)
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


def surface_distances_per_label(
    fixed: Integer[np.ndarray, "i j k"],
    moved: Integer[np.ndarray, "i j k"],
    *,
    spacing_mm: Float[np.ndarray, " 3"],
) -> dict[int, SurfaceDistances]:
    """Surface distances, mm, of each label in either map; 0 is background.

    A label's surface is those of its voxels that have a face neighbour outside it, or
    lie at the border of the grid. From every voxel of one surface, the distance to the
    nearest voxel centre of the other is taken, both ways. HD95 is the larger of the two
    95th percentiles, the mean that of all distances of both ways. (Learn2Reg's HD95 is
    in voxels and weighs surface voxels by area.)

    Raises:
        InputError: If the two maps have different shapes.
    """
    _check_share_one_grid(fixed, moved)
    return {
        label: _surface_distances(
            fixed[box] == label, moved[box] == label, spacing_mm=spacing_mm
        )
        for label, box in _box_per_label(fixed, moved).items()
    }


def landmark_differences_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, "n 3"]:
    """From each moving landmark to where its fixed one is mapped, moving world mm.

    T(fixed) - moving; the n-th fixed landmark corresponds to the n-th moving one.

    Raises:
        InputError: If the two have not as many landmarks, or names that differ.
    """
    _check_correspond(fixed, moving)
    return transform.map_positions(fixed.mm) - moving.mm


def landmark_distances_mm(
    transform: Transform, fixed: Points, moving: Points
) -> Float[np.ndarray, " n"]:
    """Distance of each mapped fixed landmark to its moving one (TRE), moving world mm.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    return np.linalg.norm(landmark_differences_mm(transform, fixed, moving), axis=1)


def landmark_distances_voxels(
    transform: Transform, fixed: Points, moving: Points, *, moving_grid: Grid
) -> Float[np.ndarray, " n"]:
    """The same distance measured in voxels of the moving grid.

    Raises:
        InputError: As `landmark_differences_mm`.
    """
    differences_mm = landmark_differences_mm(transform, fixed, moving)
    to_voxels = np.linalg.inv(moving_grid.affine[:3, :3])
    return np.linalg.norm(differences_mm @ to_voxels.T, axis=1)


def lengths_before_alignment_mm(
    differences_mm: Float[np.ndarray, "n 3"], *, fixed_to_aligned: Affine
) -> Float[np.ndarray, " n"]:
    """Lengths, in the original fixed image's mm, of differences in aligned world mm.

    For scans that were aligned to an atlas before registration. Where that shrinks the
    fixed image it shrinks landmark distances too; the inverse of its linear part takes
    this back (section V-B a). `fixed_to_aligned` maps positions of the original fixed
    image to the aligned one. The paper measures the differences on the fixed side: ask
    `landmark_differences_mm` for them with the inverse transform, `moving` first.
    """
    to_original = fixed_to_aligned.inverse().matrix[:3, :3]
    return np.linalg.norm(differences_mm @ to_original.T, axis=1)


def _check_share_one_grid(
    fixed: Integer[np.ndarray, "..."], moved: Integer[np.ndarray, "..."]
) -> None:
    if fixed.shape != moved.shape:
        raise InputError(
            f"label maps must share one grid, got {fixed.shape} and {moved.shape}: "
            "resample the moving one onto the fixed grid"
        )


def _check_correspond(fixed: Points, moving: Points) -> None:
    if len(fixed.mm) != len(moving.mm):
        raise InputError(
            f"landmarks must come in pairs, got {len(fixed.mm)} fixed and "
            f"{len(moving.mm)} moving: leave out those that one scan lacks"
        )
    if fixed.names and moving.names and fixed.names != moving.names:
        names = zip(fixed.names, moving.names, strict=True)
        first = next(pair for pair in names if pair[0] != pair[1])
        raise InputError(
            f"landmarks must have the same names in the same order, got {first[0]!r} "
            f"in fixed where moving has {first[1]!r}: sort both alike"
        )


def _voxels_per_label(data: Integer[np.ndarray, "*n"]) -> dict[int, int]:
    labels, counts = np.unique(data, return_counts=True)
    pairs = zip(labels.tolist(), counts.tolist(), strict=True)
    return {label: count for label, count in pairs if label != 0}


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

"""What is measured of one registered pair, on the fixed scan's own grid."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from voltween.cohorts import Scan
from voltween.errors import InputError
from voltween.evaluation.scores import StageScore, StructureScore
from voltween.metrics import (
    dice_per_label,
    inverse_consistency_mm,
    iou_from_dice,
    landmark_distances_mm,
    landmark_distances_voxels,
    measure_regularity,
    surface_distances_per_label,
)
from voltween.spatial import Affine, Grid, Transform


def structure_scores(
    method: str, fixed: Scan, moving: Scan, fixed_to_moving: Transform
) -> tuple[StructureScore, ...]:
    """Overlap and surface distances of every label that either scan has.

    What only one of them has is noted and not measured. A structure that was moved out
    of the fixed scan has no overlap, and no surface to measure distances to.
    """
    if fixed.labels is None or moving.labels is None:
        return ()
    moved = fixed_to_moving.resample(moving.labels, onto=fixed.labels.grid)
    in_fixed, in_moving, in_moved = (
        set(labels.labels) for labels in (fixed.labels, moving.labels, moved)
    )
    dice = dice_per_label(fixed.labels.data, moved.data)
    surfaces = surface_distances_per_label(
        fixed.labels.data, moved.data, spacing_mm=fixed.labels.grid.spacing_mm
    )
    names: Any = {"method": method, "fixed": fixed.name, "moving": moving.name}
    found = []
    for label in sorted((in_fixed | in_moving) - {0}):
        measures: dict[str, Any] = {}
        if label in in_fixed & in_moving:
            overlap = {"dice": dice[label], "iou": iou_from_dice(dice[label])}
            measures = overlap | asdict(surfaces[label])
        note = _absence(label, in_fixed, in_moving, in_moved)
        found.append(StructureScore(**names, label=label, note=note, **measures))
    return tuple(found)


def pair_measures(
    structures: tuple[StructureScore, ...],
    fixed: Scan,
    moving: Scan,
    fixed_to_moving: Transform,
) -> dict[str, Any]:
    """Fields of a `PairScore`: means over shared structures, landmarks, regularity."""
    shared = [score for score in structures if not math.isnan(score.dice)]
    means = {
        name: _mean([getattr(score, name) for score in shared])
        for name in ("dice", "iou", "hd95_mm", "surface_distance_mm")
    }
    field = fixed_to_moving.to_field(fixed.image.grid)
    return {
        **means,
        **_landmarks(fixed, moving, fixed_to_moving),
        **asdict(measure_regularity(field)),
        "structures": len(shared),
        "note": "; ".join(_remarks(fixed, moving, structures)),
    }


def stage_scores(
    method: str, fixed: Scan, moving: Scan, stages: Mapping[str, Transform]
) -> tuple[StageScore, ...]:
    """Overlap and folding as the pair stood after every stage."""
    found = []
    for stage, transform in stages.items():
        dice = _shared_dice(fixed, moving, transform)
        score = StageScore(
            method=method,
            fixed=fixed.name,
            moving=moving.name,
            stage=stage,
            dice=_mean(dice),
            iou=_mean([iou_from_dice(value) for value in dice]),
            folding_percent=_folding_percent(transform, fixed.image.grid),
        )
        found.append(score)
    return tuple(found)


def _shared_dice(fixed: Scan, moving: Scan, transform: Transform) -> list[float]:
    """Of every label that both scans have."""
    if fixed.labels is None or moving.labels is None:
        return []
    moved = transform.resample(moving.labels, onto=fixed.labels.grid)
    per_label = dice_per_label(fixed.labels.data, moved.data)
    return [per_label[label] for label in sorted(_shared(fixed, moving))]


def _folding_percent(transform: Transform, grid: Grid) -> float:
    if isinstance(transform, Affine):  # the same everywhere
        return 0.0 if np.linalg.det(transform.matrix) > 0 else 100.0
    return transform.to_field(grid).folding_percent()


def inverse_consistency(
    fixed: Scan, moving: Scan, there: Transform, back: Transform
) -> float:
    """Mean distance in mm by which the way there and back misses, in fixed space."""
    return inverse_consistency_mm(
        there, back, fixed=fixed.image.grid, moving=moving.image.grid
    )


def _shared(fixed: Scan, moving: Scan) -> set[int]:
    if fixed.labels is None or moving.labels is None:
        return set()
    return (set(fixed.labels.labels) & set(moving.labels.labels)) - {0}


def _absence(
    label: int, in_fixed: set[int], in_moving: set[int], in_moved: set[int]
) -> str:
    """Where a label is missing."""
    if label not in in_fixed:
        return "not in fixed"
    if label not in in_moving:
        return "not in moving"
    return "" if label in in_moved else "moved out of the fixed scan"


def _remarks(
    fixed: Scan, moving: Scan, structures: tuple[StructureScore, ...]
) -> Iterator[str]:
    """Why something of the pair could not be measured."""
    for role, scan in (("fixed", fixed), ("moving", moving)):
        if scan.labels is None:
            yield f"{role} has no labels"
    if structures and all(math.isnan(score.dice) for score in structures):
        yield "no structure in common"
    for note in dict.fromkeys(score.note for score in structures if score.note):
        labels = [str(score.label) for score in structures if score.note == note]
        yield f"{note}: {', '.join(labels)}"


def _landmarks(fixed: Scan, moving: Scan, transform: Transform) -> dict[str, float]:
    if fixed.points is None or moving.points is None:
        return {}
    try:
        mm = landmark_distances_mm(transform, fixed.points, moving.points)
        voxels = landmark_distances_voxels(
            transform, fixed.points, moving.points, moving_grid=moving.image.grid
        )
    except InputError as error:
        raise InputError(
            f"landmarks of {fixed.name} and {moving.name}: {error}"
        ) from error
    return {"landmark_mm": float(mm.mean()), "landmark_voxels": float(voxels.mean())}


def _mean(values: list[float]) -> float:
    """Mean of those that could be measured; NaN if none could."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan

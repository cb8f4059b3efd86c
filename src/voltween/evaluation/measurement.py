"""Measures of one registered pair, on the fixed scan's grid."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from voltween.cohorts import Scan
from voltween.evaluation.scores import StageScore, StructureScore, mean_of_measured
from voltween.metrics import (
    dice_per_label,
    inside_percent,
    inverse_consistency_mm,
    iou_from_dice,
    iou_of_union,
    landmark_differences_in_fixed_mm,
    landmark_distances_mm,
    lengths_voxels,
    measure_regularity,
    surface_distances_per_label,
    warn_if_nothing_overlaps,
)
from voltween.registration import Criterion, judge_transform
from voltween.spatial import Affine, Grid, LabelMap, Transform
from voltween.storage import naming


@dataclass(frozen=True)
class LandmarkScore:
    """Mean landmark distances of a pair; see `PairScore` for the three measures."""

    landmark_mm: float = math.nan
    landmark_fixed_mm: float = math.nan
    landmark_voxels: float = math.nan


@dataclass(frozen=True, eq=False)
class Outcome:
    """A pair with its transform, fixed to moving, and intermediate results."""

    fixed: Scan
    moving: Scan
    transform: Transform
    landmark_voxel_mm: tuple[float, float, float] | None = None
    """Size of the voxels in which landmark distances are given, as in
    `EvaluationProtocol`."""

    @cached_property
    def labels(self) -> tuple[LabelMap, LabelMap] | None:
        """Fixed and moved labels on the fixed labels' grid, if both scans have any."""
        if self.fixed.labels is None or self.moving.labels is None:
            return None
        grid = self.fixed.labels.grid
        return self.fixed.labels, self.transform.resample(self.moving.labels, onto=grid)

    @cached_property
    def dice(self) -> dict[int, float]:
        """Dice of every label of the fixed and the moved map."""
        if self.labels is None:
            return {}
        fixed, moved = self.labels
        return dice_per_label(fixed.data, moved.data)

    @cached_property
    def iou_union(self) -> float:
        """IoU of the unions of all labels; NaN if one scan has no labels."""
        if self.labels is None:
            return math.nan
        fixed, moved = self.labels
        return iou_of_union(fixed.data, moved.data)

    @cached_property
    def landmark_differences_mm(self) -> Float[np.ndarray, "n 3"]:
        """Differences of warped and fixed landmarks, in fixed world mm.

        NaN where the transform has no inverse; without rows if a scan has no landmarks.

        Raises:
            InputError: If the landmarks do not correspond.
        """
        if self.fixed.points is None or self.moving.points is None:
            return np.empty((0, 3))
        with naming(f"landmarks of {self.fixed.name} and {self.moving.name}"):
            return landmark_differences_in_fixed_mm(
                self.transform, self.fixed.points, self.moving.points
            )

    def score_landmarks(self) -> LandmarkScore:
        """Mean landmark distances, if both scans have landmarks.

        Landmarks for which the transform has no inverse count in `landmark_mm` alone.

        Raises:
            InputError: If the landmarks do not correspond.
        """
        fixed, moving = self.fixed.points, self.moving.points
        differences_mm, grid = self.landmark_differences_mm, self.fixed.image.grid
        if fixed is None or moving is None or not len(differences_mm):
            return LandmarkScore()
        voxels = lengths_voxels(differences_mm, grid, voxel_mm=self.landmark_voxel_mm)
        return LandmarkScore(
            float(landmark_distances_mm(self.transform, fixed, moving).mean()),
            mean_of_measured(np.linalg.norm(differences_mm, axis=1)),
            mean_of_measured(voxels),
        )

    @cached_property
    def growth(self) -> Float[np.ndarray, "i j k"]:
        """The transform's Jacobian determinant at the fixed image's voxels."""
        return self.transform.determinants(self.fixed.image.grid)

    @property
    def folding_percent(self) -> float:
        """Percentage of the fixed image's voxels that fold."""
        if isinstance(self.transform, Affine):  # the same everywhere
            return 0.0 if np.linalg.det(self.transform.matrix) > 0 else 100.0
        return 100 * float((self.growth <= 0).mean())

    @property
    def common_labels(self) -> list[int]:
        """Labels that both scans have, ascending; none if one has no label map."""
        if self.fixed.labels is None or self.moving.labels is None:
            return []
        return sorted(set(self.fixed.labels.labels) & set(self.moving.labels.labels))


def score_stages(
    method: str, outcome: Outcome, stages: Mapping[str, Transform]
) -> tuple[StageScore, ...]:
    """Measures overlap, landmarks and folding after every stage of a method.

    `outcome` is that of the method, which is also that of its last stage.
    """
    scores = []
    for stage, transform in stages.items():
        is_last = transform is outcome.transform
        at_stage = outcome if is_last else replace(outcome, transform=transform)
        scores.append(_score_stage(method, stage, at_stage))
    return tuple(scores)


def _score_stage(method: str, stage: str, outcome: Outcome) -> StageScore:
    dice = [outcome.dice[label] for label in outcome.common_labels]
    return StageScore(
        method=method,
        fixed=outcome.fixed.name,
        moving=outcome.moving.name,
        stage=stage,
        dice=mean_of_measured(dice),
        iou=mean_of_measured([iou_from_dice(value) for value in dice]),
        iou_union=outcome.iou_union,
        **asdict(outcome.score_landmarks()),
        folding_percent=outcome.folding_percent,
    )


def score_structures(method: str, outcome: Outcome) -> tuple[StructureScore, ...]:
    """Measures overlap and surface distances of every label that either scan has.

    A label that only one scan has is noted and not measured. A structure that was moved
    out of the fixed scan has no overlap, and no surface to measure distances to.
    """
    moving_labels = outcome.moving.labels
    if outcome.labels is None or moving_labels is None:
        return ()
    fixed, moved = outcome.labels
    surfaces = surface_distances_per_label(
        fixed.data, moved.data, spacing_mm=fixed.grid.spacing_mm
    )
    in_fixed, in_moving, in_moved = (
        set(labels.labels) for labels in (fixed, moving_labels, moved)
    )
    names: Any = {"method": method}
    names |= {"fixed": outcome.fixed.name, "moving": outcome.moving.name}
    structures = {**outcome.moving.label_names, **outcome.fixed.label_names}
    scores = []
    for label in sorted((in_fixed | in_moving) - {0}):
        measures: dict[str, Any] = {"structure": structures.get(label, "")}
        if label in in_fixed & in_moving:
            dice = outcome.dice[label]
            measures |= {"dice": dice, "iou": iou_from_dice(dice)}
            measures |= asdict(surfaces[label])
        note = _absence(label, in_fixed, in_moving, in_moved)
        scores.append(StructureScore(**names, label=label, note=note, **measures))
    return tuple(scores)


def score_pair(
    outcome: Outcome, structures: tuple[StructureScore, ...]
) -> dict[str, Any]:
    """Fields of a `PairScore`: means over common structures, landmarks, regularity."""
    measured = [score for score in structures if not math.isnan(score.dice)]
    # The same text for all pairs, so that it is shown once; notes name the pairs.
    dice = (score.dice for score in measured)
    warn_if_nothing_overlaps(dice, name="a measured pair (see its note)")
    means = {
        name: mean_of_measured([getattr(score, name) for score in measured])
        for name in ("dice", "iou", "hd95_mm", "surface_distance_mm")
    }
    return {
        **means,
        "iou_union": outcome.iou_union,
        **asdict(outcome.score_landmarks()),
        **asdict(measure_regularity(outcome.growth)),
        "inside_percent": inside_percent(outcome.transform, **_grids(outcome)),
        "structures": len(measured),
        "note": "; ".join(_remarks(outcome, structures)),
    }


def score_verdict(outcome: Outcome, criterion: Criterion) -> dict[str, Any]:
    """Fields of a `PairScore`: the verdict by the images, without labels."""
    images = outcome.fixed.image, outcome.moving.image
    verdict = judge_transform(*images, outcome.transform, criterion)
    return {
        "verdict": verdict.grade,
        "similarity": verdict.evidence.similarity,
        "reasons": "; ".join(verdict.reasons),
    }


def measure_inverse_consistency(outcome: Outcome, back: Transform) -> float:
    """Mean inverse-consistency error over the fixed grid, in mm.

    `back` is the transform of the registration in the other direction.
    """
    return inverse_consistency_mm(outcome.transform, back, **_grids(outcome))


def _grids(outcome: Outcome) -> dict[str, Grid]:
    return {"fixed": outcome.fixed.image.grid, "moving": outcome.moving.image.grid}


def _absence(
    label: int, in_fixed: set[int], in_moving: set[int], in_moved: set[int]
) -> str:
    """The place where a label is missing; empty if nowhere."""
    if label not in in_fixed:
        return "not in fixed"
    if label not in in_moving:
        return "not in moving"
    return "" if label in in_moved else "moved out of the fixed scan"


def _label_text(score: StructureScore) -> str:
    return f"{score.label} ({score.structure})" if score.structure else f"{score.label}"


def _remarks(outcome: Outcome, structures: tuple[StructureScore, ...]) -> Iterator[str]:
    """Reasons why parts of the pair could not be measured."""
    for role, scan in (("fixed", outcome.fixed), ("moving", outcome.moving)):
        if scan.labels is None:
            yield f"{role} has no labels"
    if structures and all(math.isnan(score.dice) for score in structures):
        yield "no structure in common"
    elif structures and not any(score.dice > 0 for score in structures):
        yield "no structure overlaps"
    for note in dict.fromkeys(score.note for score in structures if score.note):
        labels = [_label_text(score) for score in structures if score.note == note]
        yield f"{note}: {', '.join(labels)}"
    differences_mm = outcome.landmark_differences_mm
    lost = int(np.isnan(differences_mm).any(axis=1).sum())
    if lost:
        yield f"no inverse at {lost} of {len(differences_mm)} landmarks"

"""Two registered scans: transforms between their worlds, images, quality figures."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from voltween.errors import FoldingWarning
from voltween.metrics import dice_per_label
from voltween.refinement import Refinement
from voltween.registration.judge import Judge
from voltween.registration.verdict import Verdict, gather_evidence, pass_verdict
from voltween.spatial import (
    Affine,
    DisplacementField,
    Image,
    LabelMap,
    Transform,
    labels_in_common,
    remove_folds,
)


@dataclass(frozen=True)
class TweeningStage:
    """The registration as it stood after one stage of the cascade."""

    name: str
    fixed_to_moving: Transform
    moving_to_fixed: Transform | None = None
    """The inverse, where it came with the transform, as that of a velocity field."""


@dataclass(frozen=True)
class Registration:
    """Two registered scans; all transforms are between the scans' own worlds (mm).

    Images, fields and inverses are computed when they are first read, and kept.
    """

    fixed: Image
    moving: Image
    model_name: str
    before: Transform
    """Initial alignment, fixed to moving: of the scans' centers and axes."""
    stages: tuple[TweeningStage, ...]
    seconds: Mapping[str, float]
    """Time that each part of the registration took."""
    refinement: Refinement | None = None
    """Settings by which the last stage was optimized on the pair, if it was."""
    prepared_judge: Judge | None = None
    """The pair prepared for the comparison of transforms, if it is at hand."""

    @cached_property
    def judge(self) -> Judge:
        """The pair prepared for the comparison of transforms."""
        return self.prepared_judge or Judge.of(self.fixed, self.moving)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the registration can be trusted, with reasons and evidence."""
        return pass_verdict(
            gather_evidence(self.judge, Affine.identity(), self.fixed_to_moving)
        )

    @property
    def fixed_to_moving(self) -> Transform:
        """Maps points from fixed to moving mm; moves images onto the fixed grid."""
        return self.stages[-1].fixed_to_moving

    @cached_property
    def moving_to_fixed(self) -> Transform:
        """The inverse: maps points from moving to fixed mm."""
        return self.stages[-1].moving_to_fixed or self.fixed_to_moving.inverse()

    @cached_property
    def moved(self) -> Image:
        """The moving image on the fixed image's own grid."""
        return self.fixed_to_moving.resample(self.moving, onto=self.fixed.grid)

    @cached_property
    def field(self) -> DisplacementField:
        """`fixed_to_moving` as displacements at the fixed image's voxels."""
        return self.fixed_to_moving.to_field(self.fixed.grid)

    @cached_property
    def folding_percent(self) -> float:
        """Percentage of the fixed image's voxels at which the transform folds."""
        return 100 * float((self.jacobian.data <= 0).mean())

    @cached_property
    def jacobian(self) -> Image:
        """Local volume in moving space over that in fixed space, on the fixed grid."""
        return Image(self.field.jacobian_determinant(), self.fixed.grid)

    def without_folding(self) -> "Registration":
        """Returns the registration changed until no voxel of the fixed image folds.

        The transform changes around its folds alone. No voxel of its own displacement
        fields folds afterwards either, so that it has an inverse. Returns the same
        object if nothing folds. A `FoldingWarning` states the percentage of folding
        voxels where folds could not be removed.
        """
        start = time.perf_counter()
        transform, left_percent = remove_folds(
            self.fixed_to_moving, onto=self.fixed.grid
        )
        if left_percent > 0:
            warnings.warn(
                f"{left_percent:.3g} % of the fixed image's voxels still fold, and no "
                "way was found to unfold them: refine with velocities (diffeomorphic)",
                FoldingWarning,
                stacklevel=2,
            )
        if transform is self.fixed_to_moving:
            return self
        stage = TweeningStage(self.stages[-1].name, transform)
        seconds = {**self.seconds, "unfolding": time.perf_counter() - start}
        return replace(self, stages=(*self.stages[:-1], stage), seconds=seconds)

    @cached_property
    def correlation(self) -> dict[str, float]:
        """Correlation coefficient with the fixed image, before and after."""
        before = self.before.resample(self.moving, onto=self.fixed.grid)
        return {
            "before": _correlation(self.fixed, before),
            "after": _correlation(self.fixed, self.moved),
        }

    def dice(self, fixed: LabelMap, moving: LabelMap) -> dict[str, dict[int, float]]:
        """Dice of every label present in both maps, before and after each stage.

        Measured on the fixed label map's grid, with labels resampled by nearest
        neighbor.

        Raises:
            InputError: If the two maps have no label in common.
        """
        shared = labels_in_common(fixed, moving)
        result = {}
        for name, transform in self.tweening.items():
            moved = transform.resample(moving, onto=fixed.grid)
            per_label = dice_per_label(fixed.data, moved.data)
            result[name] = {label: per_label[label] for label in shared}
        return result

    @property
    def tweening(self) -> dict[str, Transform]:
        """Fixed to moving transforms by name: before, then after each stage.

        Resampling the moving image with each gives the frames of the tweening.
        """
        stages = {stage.name: stage.fixed_to_moving for stage in self.stages}
        return {"before": self.before, **stages}


def _correlation(one: Image, other: Image) -> float:
    if np.ptp(one.data) == 0 or np.ptp(other.data) == 0:
        return 0.0
    return float(np.corrcoef(one.data.ravel(), other.data.ravel())[0, 1])

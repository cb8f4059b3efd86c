"""Two registered scans: transforms between their worlds, images, quality figures."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from voltween.errors import FoldingWarning
from voltween.metrics import dice_per_label
from voltween.refinement import Refinement
from voltween.spatial import (
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
    """Its inverse, where it came with the transform: that of a velocity field."""


@dataclass(frozen=True)
class Registration:
    """Two registered scans. All transforms are between the scans' own worlds (mm)."""

    fixed: Image
    moving: Image
    model_name: str
    before: Transform
    """The scans' middles and axes laid on one another: what came in."""
    stages: tuple[TweeningStage, ...]
    seconds: dict[str, float]
    """Time taken by each part of the work."""
    refinement: Refinement | None = None
    """How the last stage was sought on the pair, if it was."""

    @property
    def fixed_to_moving(self) -> Transform:
        """Carries points fixed to moving, and the moving image onto the fixed grid."""
        return self.stages[-1].fixed_to_moving

    @cached_property
    def moving_to_fixed(self) -> Transform:
        """The inverse: points moving to fixed, the fixed image onto the moving grid."""
        with self._timed("inverse"):
            return self.stages[-1].moving_to_fixed or self.fixed_to_moving.inverse()

    @cached_property
    def moved(self) -> Image:
        """The moving image on the fixed image's own grid."""
        with self._timed("resampling"):
            return self.fixed_to_moving.resample(self.moving, onto=self.fixed.grid)

    @cached_property
    def field(self) -> DisplacementField:
        """fixed_to_moving as displacements at the fixed image's voxels."""
        with self._timed("field"):
            return self.fixed_to_moving.to_field(self.fixed.grid)

    @cached_property
    def folding_percent(self) -> float:
        """Percentage of the fixed image's voxels at which the transform folds."""
        return self.field.folding_percent()

    def without_folding(self) -> "Registration":
        """The same, changed around folds until no voxel of the fixed image folds.

        Nor any of the transform's own fields, so that it has an inverse. The same
        object if none folds as it is. A `FoldingWarning` says what is left where that
        could not be reached.
        """
        start = time.perf_counter()
        transform, left_percent = remove_folds(
            self.fixed_to_moving, onto=self.fixed.grid
        )
        if left_percent > 0:
            warnings.warn(
                f"{left_percent:.3g} % of the fixed image's voxels fold still, and no "
                "way was found to unfold them: refine with velocities (diffeomorphic)",
                FoldingWarning,
                stacklevel=2,
            )
        if transform is self.fixed_to_moving:
            return self
        stage = TweeningStage(self.stages[-1].name, transform)
        seconds = self.seconds | {"unfolding": time.perf_counter() - start}
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

        Measured on the fixed label map's grid, labels resampled by nearest neighbor.

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

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def _correlation(one: Image, other: Image) -> float:
    if np.ptp(one.data) == 0 or np.ptp(other.data) == 0:
        return 0.0
    return float(np.corrcoef(one.data.ravel(), other.data.ravel())[0, 1])

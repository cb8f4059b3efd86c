"""Registering two scans: where scanner space and tensors meet.

Each scan is put on its own canonical grid, the network runs, and its answer is turned
into a transform between the scans' own worlds:

    fixed_to_moving = moving canonical affine
                      o (identity + flow)
                      o inverse of the fixed canonical affine

The affine stage of the network stays an exact `Affine`; its dense stages become a
`DisplacementField` that fades to nothing around the canonical grid, so that the
transform is continuous wherever the scans reach.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from voltween.checkpoint import Model
from voltween.errors import InputError
from voltween.inference import Precision
from voltween.jacobian import folding_fraction
from voltween.metrics import dice_per_label
from voltween.networks import Stage
from voltween.refinement import Refinement, refined
from voltween.space import Grid, directions_to_ras
from voltween.transform import Affine, DisplacementField, Transform
from voltween.volume import Image, LabelMap

REFINED = "refined"
"""Name of the stage after the network's own."""

_NARROWEST_FADE_VOXELS = 8
_STEEPEST_FADE = 0.5  # voxels of displacement lost per voxel: well below folding


@dataclass(frozen=True)
class TweeningStage:
    """The registration as it stood after one stage of the cascade."""

    name: str
    fixed_to_moving: Transform
    folding_percent: float
    """Percentage of the canonical grid's voxels at which the transform folds."""


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

    @property
    def fixed_to_moving(self) -> Transform:
        """Carries points fixed to moving, and the moving image onto the fixed grid."""
        return self.stages[-1].fixed_to_moving

    @cached_property
    def moving_to_fixed(self) -> Transform:
        """The inverse: points moving to fixed, the fixed image onto the moving grid."""
        with self._timed("inverse"):
            return self.fixed_to_moving.inverse()

    @cached_property
    def moved(self) -> Image:
        """The moving image on the fixed image's own grid."""
        with self._timed("resampling"):
            return self.fixed_to_moving.resample(self.moving, onto=self.fixed.grid)

    @property
    def folding_percent(self) -> float:
        """Percentage of the canonical grid's voxels at which the transform folds."""
        return self.stages[-1].folding_percent

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

        Measured on the fixed label map's grid, labels resampled by nearest neighbour.

        Raises:
            InputError: If the two maps have no label in common.
        """
        shared = set(fixed.labels) & set(moving.labels)
        if not shared:
            raise InputError(
                f"fixed and moving labels must share a label, got {fixed.labels[:9]} "
                f"and {moving.labels[:9]}"
            )
        result = {}
        for name, transform in self.tweening.items():
            moved = transform.resample(moving, onto=fixed.grid)
            per_label = dice_per_label(fixed.data, moved.data)
            result[name] = {label: per_label[label] for label in sorted(shared)}
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


def register(
    fixed: Image,
    moving: Image,
    *,
    model: Model,
    precision: Precision = "fp32",
    refinement: Refinement | None = None,
) -> Registration:
    """Register `moving` to `fixed`; both as stored, of any orientation and spacing.

    The network runs in single precision, with the same result on all processors to
    rounding, unless `precision` allows bfloat16 (see `voltween.inference`). With a
    `refinement` its answer is polished on this pair, as a stage of its own.

    Raises:
        InputError: If an image is constant or looks like a label map.
    """
    start = time.perf_counter()
    fixed_canonical = _normalized("fixed", fixed, model)
    moving_canonical = _normalized("moving", moving, model)
    prepared = time.perf_counter()
    run = model.registrar(precision)
    images = [
        _tensor(image).to(model.device) for image in (fixed_canonical, moving_canonical)
    ]
    found = dict(
        zip(model.network.config.stage_names, run(*images).stages, strict=True)
    )
    registered = time.perf_counter()
    if refinement is not None:
        *_, last = found.values()
        found[REFINED] = refined(last, images[0], images[1], refinement)
    polished = time.perf_counter()
    stages = tuple(
        TweeningStage(
            name,
            world_transform(stage, fixed_canonical.grid, moving_canonical.grid),
            100 * float(folding_fraction(stage.flow)),
        )
        for name, stage in found.items()
    )
    return Registration(
        fixed=fixed,
        moving=moving,
        model_name=model.name,
        before=centre_alignment(fixed.grid, moving.grid),
        stages=stages,
        seconds={
            "preparing": prepared - start,
            "network": registered - prepared,
            "refinement": polished - registered,
            "transforms": time.perf_counter() - polished,
        },
    )


def centre_alignment(fixed: Grid, moving: Grid) -> Affine:
    """Rigid map that lays two grids' middles and axes (in RAS order) on each other."""
    rotation = directions_to_ras(moving) @ directions_to_ras(fixed).T
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = moving.centre_mm - rotation @ fixed.centre_mm
    return Affine(matrix)


def world_transform(stage: Stage, fixed_grid: Grid, moving_grid: Grid) -> Transform:
    """Fixed to moving world mm of a network's stage between two canonical grids."""
    to_moving = moving_grid.affine @ _voxel_matrix(stage, fixed_grid.shape)
    affine = Affine(to_moving @ np.linalg.inv(fixed_grid.affine))
    if stage.is_affine:
        return affine
    flow, grid = _faded(
        stage.dense_flow[0].cpu().numpy().astype(np.float64), fixed_grid
    )
    return affine @ DisplacementField.from_flow(flow, grid)


def _voxel_matrix(
    stage: Stage, shape: tuple[int, int, int]
) -> Float[np.ndarray, "4 4"]:
    """Matrix, voxel to voxel, of x -> x + A (x - centre) + b (eq. 11)."""
    linear = stage.matrix[0].cpu().numpy().astype(np.float64)
    centre = (np.array(shape) - 1) / 2
    matrix = np.eye(4)
    matrix[:3, :3] += linear
    matrix[:3, 3] = stage.translation[0].cpu().numpy() - linear @ centre
    return matrix


def _faded(
    flow: Float[np.ndarray, "3 i j k"], grid: Grid
) -> tuple[Float[np.ndarray, "3 a b c"], Grid]:
    """The flow continued around its grid, from its border value down to 0.

    Beyond a field ITK applies no displacement; without the fade, the moved image would
    be torn along the border of the canonical grid.
    """
    border = np.abs(flow).copy()
    border[:, 1:-1, 1:-1, 1:-1] = 0
    width = max(_NARROWEST_FADE_VOXELS, math.ceil(border.max() / _STEEPEST_FADE))
    padded = np.pad(flow, [(0, 0), *[(width, width)] * 3], mode="edge")
    for axis, size in enumerate(flow.shape[1:], 1):
        ramp = np.arange(width) / width
        weights = np.concatenate([ramp, np.ones(size), ramp[::-1]])
        padded *= np.expand_dims(weights, [n for n in range(4) if n != axis])
    return padded, grid.padded(width)


def _normalized(role: str, image: Image, model: Model) -> Image:
    try:
        return model.preprocessing.normalized(image)
    except InputError as error:
        raise InputError(f"{role} {error}") from error


def _tensor(image: Image) -> Float[torch.Tensor, "1 1 i j k"]:
    return torch.from_numpy(image.data.copy())[None, None]


def _correlation(one: Image, other: Image) -> float:
    if np.ptp(one.data) == 0 or np.ptp(other.data) == 0:
        return 0.0
    return float(np.corrcoef(one.data.ravel(), other.data.ravel())[0, 1])

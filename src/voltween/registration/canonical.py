"""Between the canonical grids of two scans and the scans' own worlds.

The transform that a network finds on the grids becomes one between the worlds:

    fixed_to_moving = moving canonical affine
                      o (identity + flow)
                      o inverse of the fixed canonical affine

The affine part stays an exact `Affine`. The dense part becomes a `SplineField`, which
has the flow at the network's voxels and is smooth between them, and which fades to zero
around the canonical grid, so that the transform is continuous wherever the scans reach.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from voltween.ops import FlowParts, exponential
from voltween.spatial import Affine, Grid, SplineField, Transform

_NARROWEST_FADE_VOXELS = 4
_STEEPEST_FADE = 0.5  # voxels of displacement lost per voxel: well below folding


FEWEST_BLOCKS = 2
"""Blocks along each axis, as derivatives need two voxels on the widest voxels too."""


class Grids(NamedTuple):
    """The canonical grids of a pair, of one shape and one voxel size."""

    fixed: Grid
    moving: Grid

    def with_voxels(
        self, spacing_mm: Float[np.ndarray, " 3"], multiple: int
    ) -> "Grids":
        """Returns grids in the same place with other voxels.

        Their sides are multiples of `multiple`.
        """
        extent_mm = np.array(self.fixed.shape) * self.fixed.spacing_mm
        blocks = np.ceil(extent_mm / spacing_mm / multiple - 1e-6).astype(int)
        shape = multiple * blocks.clip(FEWEST_BLOCKS)
        return Grids(
            fixed=_with_voxels(self.fixed, spacing_mm, shape),
            moving=_with_voxels(self.moving, spacing_mm, shape),
        )


def world_transform(parts: FlowParts, grids: Grids) -> Transform:
    """Transform from fixed to moving mm, of a transform on a pair's canonical grids."""
    affine = world_affine(parts.matrix, parts.translation, grids)
    if not parts.dense_flow.any():
        return affine
    flow, grid = _fade_out(_to_numpy(parts.dense_flow), grids.fixed)
    return affine @ SplineField.from_flow(flow, grid)


def world_transforms(
    parts: FlowParts, grids: Grids
) -> tuple[Transform, Transform | None]:
    """Transform from fixed to moving mm, and its inverse if the parts have a velocity.

    Both are exponentials of the velocity continued around its grid, so that each undoes
    the other as far as the voxel size allows.
    """
    if parts.velocity is None:
        return world_transform(parts, grids), None
    affine = world_affine(parts.matrix, parts.translation, grids)
    data, grid = _fade_out(_to_numpy(parts.velocity), grids.fixed)
    velocity = torch.from_numpy(data)[None]
    forward = SplineField.from_flow(_to_numpy(exponential(velocity)), grid)
    backward = SplineField.from_flow(_to_numpy(exponential(-velocity)), grid)
    return affine @ forward, backward @ affine.inverse()


def regrid(parts: FlowParts, before: Grids, after: Grids) -> FlowParts:
    """Returns the same transform on other grids in the same place.

    Between voxels, the dense flow is interpolated by cubic splines.
    """
    from scipy.ndimage import affine_transform  # slow to import, for some voxels only

    ratio = before.fixed.spacing_mm / after.fixed.spacing_mm
    centers = [(np.array(grids.fixed.shape) - 1) / 2 for grids in (before, after)]
    dense = [
        factor
        * affine_transform(
            component,
            np.diag(1 / ratio),  # as a vector, older SciPy warns
            offset=centers[0] - centers[1] / ratio,
            output_shape=after.fixed.shape,
            mode="nearest",
        )
        for factor, component in zip(ratio, _to_numpy(parts.dense_flow), strict=True)
    ]
    scale = torch.from_numpy(ratio).to(parts.matrix)
    return FlowParts(
        parts.matrix * scale[:, None] / scale,
        parts.translation * scale,
        torch.from_numpy(np.stack(dense)[None]).to(parts.dense_flow),
    )


def world_affine(
    matrix: Float[torch.Tensor, "1 3 3"],
    translation: Float[torch.Tensor, "1 3"],
    grids: Grids,
) -> Affine:
    """Fixed to moving mm, of an affine flow on a pair's canonical grids (eq. 11)."""
    voxels = voxel_matrix(matrix, translation, grids.fixed.shape)
    return Affine(grids.moving.affine @ voxels @ np.linalg.inv(grids.fixed.affine))


def voxel_matrix(
    matrix: Float[torch.Tensor, "1 3 3"],
    translation: Float[torch.Tensor, "1 3"],
    shape: tuple[int, int, int],
) -> Float[np.ndarray, "4 4"]:
    """Matrix, voxel to voxel, of the affine flow x -> x + A (x - center) + b."""
    linear = matrix[0].cpu().numpy().astype(np.float64)
    center = (np.array(shape) - 1) / 2
    result = np.eye(4)
    result[:3, :3] += linear
    result[:3, 3] = translation[0].cpu().numpy() - linear @ center
    return result


def _with_voxels(
    grid: Grid, spacing_mm: Float[np.ndarray, " 3"], shape: Int[np.ndarray, " 3"]
) -> Grid:
    return Grid.centered(
        (int(shape[0]), int(shape[1]), int(shape[2])),
        center_mm=grid.center_mm,
        spacing_mm=tuple(spacing_mm.tolist()),
        directions=grid.affine[:3, :3] / grid.spacing_mm,
    )


def _to_numpy(flow: Float[torch.Tensor, "1 3 i j k"]) -> Float[np.ndarray, "3 i j k"]:
    return flow[0].cpu().numpy().astype(np.float64)


def _fade_out(
    flow: Float[np.ndarray, "3 i j k"], grid: Grid
) -> tuple[Float[np.ndarray, "3 a b c"], Grid]:
    """Continues the flow around its grid, from its border value down to zero.

    Beyond a field, ITK applies no displacement: without the fade, the moved image would
    be torn along the border of the canonical grid. The two outermost voxels are zero,
    as a spline field ends at the last but one. Each face has a fade as wide as its own
    largest displacement needs it.
    """
    widths = _fade_widths(flow)
    padded = np.pad(flow, [(0, 0), *(widths + 1).tolist()], mode="edge")
    for axis, both in enumerate(widths, 1):
        for width, lines in zip(both, (padded, np.flip(padded, axis)), strict=True):
            outer = np.moveaxis(lines, axis, -1)[..., : width + 1]
            outer *= np.maximum(np.arange(-1, width), 0) / width
    return padded, grid.pad(widths + 1)


def _fade_widths(flow: Float[np.ndarray, "3 i j k"]) -> Int[np.ndarray, "3 2"]:
    """Voxels in which the flow fades, before the first and behind the last ones."""
    largest = [
        [np.abs(flow.take(end, axis)).max() for end in (0, -1)] for axis in (1, 2, 3)
    ]
    widths = np.ceil(np.array(largest) / _STEEPEST_FADE).astype(int)
    return widths.clip(_NARROWEST_FADE_VOXELS)

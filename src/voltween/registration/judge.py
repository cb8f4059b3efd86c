"""Agreement of two scans under a transform, by which candidate answers are compared.

The measure is the squared correlation within small cubes, averaged over the foreground
of the fixed scan. It tolerates any local change of contrast, also an inverted one.
Where the moving scan shows nothing (beyond its border, or without any contrast), a
voxel counts a little less than it would in unrelated scans, so that a transform gains
nothing by moving the foreground out of sight.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from voltween.ops import sum_centered_boxes, warp
from voltween.preprocessing import find_foreground, looks_like_ct, without_padding
from voltween.refinement import PairTensors, SideTensors, search_poses
from voltween.registration.canonical import Grids, world_affine
from voltween.registration.flows import flow_of_transform
from voltween.registration.voxel_sizes import choose_voxels
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    Transform,
    directions_to_ras,
    resample_smoothly,
)

CHANCE = 0.1
"""Similarity of a voxel of which the moving scan shows nothing.

A little less than in unrelated scans, so that these are not moved out of sight.
"""
_WIDTH = 5  # voxels of a cube
_MOST_VOXELS = 2.0e5
_MARGIN = 1.1  # of the foreground
_LEAST_VARIANCE = 1e-5  # of intensities from 0 to 1; less is no contrast
_SHOWN = 0.5  # share of a voxel that the moving scan has to show
_INSIDE = 0.9  # share of a cube that is foreground
_LEAST_INNER = 0.2  # share of the foreground
_FEWEST_VOXELS = 2 * _WIDTH  # along each axis


class Agreement(NamedTuple):
    """Agreement of two scans under a transform, over the fixed scan's foreground."""

    similarity: float
    """Mean squared local correlation, 0 to 1; about 0.15 for unrelated scans."""
    sign: float
    """Share of that correlation which is positive rather than negative, -1 to 1."""
    seen_percent: float
    """Percentage of the voxels that the moving scan shows."""
    overlap: float
    """Dice of the two foregrounds, where both scans show something."""


@dataclass(frozen=True, eq=False)
class _Side:
    """A scan on a coarse grid around its foreground."""

    grid: Grid
    image: Float[Tensor, "1 1 i j k"]
    foreground: Float[Tensor, "1 1 i j k"]
    """1 in the foreground, else 0."""
    seen: Float[Tensor, "1 1 i j k"]
    """1 within the scan and its mask, else 0."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A pair prepared for the comparison of transforms."""

    fixed: _Side
    moving: _Side

    @classmethod
    def of(
        cls,
        fixed: Image,
        moving: Image,
        masks: tuple[LabelMap | None, LabelMap | None] = (None, None),
    ) -> "Judge":
        """Puts both scans on grids of one shape around their foregrounds.

        Where a scan has a mask, it shows nothing outside.
        """
        scans = (without_padding(fixed), without_padding(moving))
        found = [find_foreground(scan, is_ct=looks_like_ct(scan)) for scan in scans]
        extent_mm = _MARGIN * np.max([each.extent_mm for each in found], axis=0)
        voxels = choose_voxels(
            extent_mm,
            [scan.grid for scan in scans],
            most=_MOST_VOXELS,
            fewest=_FEWEST_VOXELS,
        )
        i, j, k = (
            np.ceil(voxels.extent_mm / voxels.spacing_mm - 1e-6)
            .astype(int)
            .clip(_FEWEST_VOXELS)
        )
        sides = []
        for scan, foreground, mask in zip(scans, found, masks, strict=True):
            grid = Grid.centered(
                (int(i), int(j), int(k)),
                center_mm=foreground.center_mm,
                spacing_mm=tuple(voxels.spacing_mm.tolist()),
                directions=directions_to_ras(scan.grid),
            )
            sides.append(_see(scan, grid, foreground.threshold, mask))
        return cls(*sides)

    @property
    def grids(self) -> Grids:
        """The coarse grids on which the scans are compared."""
        return Grids(self.fixed.grid, self.moving.grid)

    def agreement(self, fixed_to_moving: Transform) -> Agreement:
        """Measures the agreement of the scans under a transform of their worlds."""
        return self.flow_agreement(flow_of_transform(fixed_to_moving, self.grids))

    def flow_agreement(self, flow: Float[Tensor, "1 3 i j k"]) -> Agreement:
        """Measures the agreement under a flow from the fixed to the moving grid."""
        moved, foreground, seen = warp(self._moving_content, flow).split(1, dim=1)
        is_shown = (seen > _SHOWN) & _is_inside(flow)
        products = [moved, moved.square(), self.fixed.image * moved]
        mean, square, product = self._average(torch.cat(products, dim=1)).split(1, 1)
        variance = square - mean.square()
        covariance = product - self._mean * mean
        squares = covariance.square() / (self._variance * variance).clamp_min(1e-12)
        counts = self._counts
        is_seen = counts & is_shown & (variance > _LEAST_VARIANCE)
        squares = squares * is_seen
        number = max(1, int(counts.sum()))
        total = squares.sum().item()
        unseen = number - int(is_seen.sum())
        return Agreement(
            similarity=(total + CHANCE * unseen) / number,
            sign=(squares * covariance.sign()).sum().item() / max(total, 1e-9),
            seen_percent=100 * int((counts & is_shown).sum()) / number,
            overlap=_dice(self.fixed.foreground * is_shown, foreground * is_shown),
        )

    @cached_property
    def poses(self) -> tuple[Affine, ...]:
        """Rigid transforms, fixed to moving mm, found without any start; best first.

        None for scans of a few slices, which show too little for that.
        """
        spacing_mm = self.fixed.grid.spacing_mm
        if spacing_mm.max() > 1.001 * spacing_mm.min():
            return ()
        pair = PairTensors(
            SideTensors(self.fixed.image, self.fixed.seen),
            SideTensors(self.moving.image, self.moving.seen),
        )
        return tuple(
            world_affine(pose.matrix, pose.translation, self.grids)
            for pose in search_poses(pair)
        )

    @cached_property
    def foreground_mm(self) -> Float[np.ndarray, "n 3"]:
        """Positions of the fixed scan's foreground voxels, RAS+ mm."""
        voxels = np.argwhere(self.fixed.foreground[0, 0].numpy() > 0)
        return self.fixed.grid.voxel_to_world(voxels.astype(np.float64))

    @property
    def some_foreground_mm(self) -> Float[np.ndarray, "n 3"]:
        """About two thousand of these positions, evenly spread."""
        return self.foreground_mm[:: max(1, len(self.foreground_mm) // 2000)]

    @cached_property
    def _counts(self) -> Bool[Tensor, "1 1 i j k"]:
        """The voxels that count: inside the foreground, with some contrast.

        Cubes across the outline would agree wherever two outlines do. Where almost all
        of a foreground is outline, they have to count.
        """
        foreground = self.fixed.foreground > 0
        inner = foreground & (self._average(self.fixed.foreground) > _INSIDE)
        if inner.sum() < _LEAST_INNER * foreground.sum():
            inner = foreground
        return inner & (self._variance > _LEAST_VARIANCE)

    @cached_property
    def _mean(self) -> Float[Tensor, "1 1 i j k"]:
        return self._average(self.fixed.image)

    @cached_property
    def _variance(self) -> Float[Tensor, "1 1 i j k"]:
        return self._average(self.fixed.image.square()) - self._mean.square()

    @cached_property
    def _moving_content(self) -> Float[Tensor, "1 3 i j k"]:
        """All of the moving scan that a flow moves."""
        side = self.moving
        return torch.cat([side.image, side.foreground, side.seen], dim=1)

    @cached_property
    def _sizes(self) -> Float[Tensor, "1 1 i j k"]:
        """Number of voxels of the cube around every voxel that lie inside the grid."""
        return sum_centered_boxes(torch.ones_like(self.fixed.image), _WIDTH)

    def _average(
        self, images: Float[Tensor, "1 c i j k"]
    ) -> Float[Tensor, "1 c i j k"]:
        """Mean over the cube around every voxel, of its voxels inside the grid."""
        return sum_centered_boxes(images, _WIDTH) / self._sizes


def _is_inside(flow: Float[Tensor, "1 3 i j k"]) -> Bool[Tensor, "1 1 i j k"]:
    """Whether a flow maps a voxel to within the grid."""
    shape = flow.shape[2:]
    inside = torch.ones(1, 1, *shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        from_center = torch.arange(size).view(-1, *[1] * (2 - axis)) - (size - 1) / 2
        inside &= (from_center + flow[:, axis : axis + 1]).abs() <= size / 2
    return inside


def _dice(one: Float[Tensor, "1 1 i j k"], other: Float[Tensor, "1 1 i j k"]) -> float:
    return float(2 * (one * other).sum() / (one.sum() + other.sum()).clamp_min(1))


def _see(scan: Image, grid: Grid, threshold: float, mask: LabelMap | None) -> _Side:
    data = resample_smoothly(scan, onto=grid).data
    low, high = np.percentile(data, [1, 99])
    scaled = (data - low) / max(float(high - low), float(np.finfo(np.float32).tiny))
    image = torch.from_numpy(scaled.clip(0, 1).astype(np.float32))[None, None]
    bright = torch.from_numpy((data > threshold).astype(np.float32))[None, None]
    seen = _holds(scan.grid, grid)
    if mask is not None:
        inside = Affine.identity().resample(mask, onto=grid).data > 0
        seen = seen * torch.from_numpy(inside.astype(np.float32))[None, None]
    return _Side(grid, image, bright * seen, seen)


def _holds(scan: Grid, grid: Grid) -> Float[Tensor, "1 1 i j k"]:
    """1 at voxels of the grid that lie within the scan, else 0."""
    positions = np.moveaxis(
        scan.world_to_voxel(grid.voxel_centers_mm().reshape(-1, 3)), -1, 0
    )
    sizes = np.array(scan.shape)[:, None]
    inside = ((positions >= -0.5) & (positions <= sizes - 0.5)).all(axis=0)
    return torch.from_numpy(inside.reshape(grid.shape).astype(np.float32))[None, None]

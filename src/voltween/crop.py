"""Which part of a scan is kept: voxels of the scan itself, axes in RAS order."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from voltween.errors import InputError
from voltween.preprocess import foreground_of
from voltween.space import Grid, nearest_world_axes
from voltween.volume import Image, LabelMap

V = TypeVar("V", Image, LabelMap)
_MARGIN_MM = 10.0


@dataclass(frozen=True)
class Crop:
    """A box of a scan's own voxels."""

    grid: Grid
    """Voxels of the scan itself, axes in RAS order."""
    rule: str
    """What decided the box, in one line."""

    def of(self, volume: V) -> V:
        """The volume within the box: its exact voxels, axes reordered.

        Raises:
            InputError: If the volume is not on the scan's grid.
        """
        ordered = _reordered(volume)
        start = ordered.grid.world_to_voxel(self.grid.affine[:3, 3])
        first = np.rint(start).astype(int)
        end = first + self.grid.shape
        off_grid = np.abs(start - first).max() > 1e-2
        if off_grid or first.min() < 0 or (end > ordered.grid.shape).any():
            raise InputError("volume must be on the grid of the scan that was cropped")
        box = tuple(slice(a, b) for a, b in zip(first, end, strict=True))
        return type(volume)(np.ascontiguousarray(ordered.data[box]), self.grid)


def liver_crop(
    ct: Image, labels: LabelMap | None = None, *, liver: tuple[int, ...] = (1,)
) -> Crop:
    """The box around the liver, by its mask or else by a threshold."""
    if labels is None:
        box = foreground_of(ct, is_ct=True)
        half_mm = box.extent_mm / 2 + _MARGIN_MM
        return _boxed(ct, box.centre_mm - half_mm, box.centre_mm + half_mm, "threshold")
    voxels = np.argwhere(np.isin(labels.data, liver))
    if len(voxels) == 0:
        raise InputError(f"labels must show the liver {liver}, got {labels.labels}")
    mm = labels.grid.voxel_to_world(voxels.astype(float))
    low, high = mm.min(axis=0) - _MARGIN_MM, mm.max(axis=0) + _MARGIN_MM
    return _boxed(ct, low, high, f"liver mask and {_MARGIN_MM:g} mm")


def head_crop(head: Image) -> Crop:
    """The box around the brain of an MR head, with or without skull."""
    box = foreground_of(head)
    half_mm = box.extent_mm / 2 + _MARGIN_MM
    return _boxed(head, box.centre_mm - half_mm, box.centre_mm + half_mm, "foreground")


def whole(image: Image) -> Crop:
    """All of the scan, axes in RAS order."""
    return Crop(_reordered(image).grid, "whole")


def _boxed(image: Image, low_mm: np.ndarray, high_mm: np.ndarray, rule: str) -> Crop:
    grid = _reordered(image).grid
    corners = np.array(list(np.ndindex(2, 2, 2)))
    voxels = grid.world_to_voxel(np.where(corners, high_mm, low_mm))
    first = np.floor(voxels.min(axis=0)).clip(0, None).astype(int)
    last = np.minimum(np.ceil(voxels.max(axis=0)), np.array(grid.shape) - 1).astype(int)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.voxel_to_world(first.astype(float))
    i, j, k = (int(n) for n in last - first + 1)
    return Crop(Grid((i, j, k), affine), rule)


def _reordered(volume: V) -> V:
    axes = np.argsort(np.array(nearest_world_axes(volume.grid)))
    data = volume.data.transpose(axes)
    affine = volume.grid.affine[:, np.append(axes, 3)]
    for axis in range(3):
        if affine[axis, axis] < 0:
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1
            data = np.flip(data, axis)
    return type(volume)(np.ascontiguousarray(data), Grid(data.shape, affine))

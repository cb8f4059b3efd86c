"""Crops of scans around the organ of a cohort: the liver of a CT, the brain of a head.

A crop keeps the scan's voxels and their positions in the world: it drops the voxels
outside a box and stores the others in the order R, A, S (section V-A 2).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voltween.errors import InputError
from voltween.preprocessing import find_head, hounsfield_offset, resample_coarsely
from voltween.spatial import (
    Grid,
    Image,
    LabelMap,
    Volume,
    directions_to_ras,
    reorder_grid_to_ras,
    reorder_volume_to_ras,
)

V = TypeVar("V", bound=Volume)
Corners = Float[np.ndarray, "2 3"]
"""First and last voxel of a box; may be fractional or outside the grid."""

_HEAD_MM = np.array([180.0, 220.0, 180.0])  # along R, A and S; 11 mm larger than brains
_MASK_MARGIN_MM = 10.0
_BODY_HOUNSFIELD = -200.0
# Liver with or without contrast agent; excludes fat and bone.
_SOFT_TISSUE_HOUNSFIELD = (0.0, 220.0)
_SMOOTHING_MM = 4.0
_CORE_DEPTH_MM = 15.0  # muscle and bowel are thinner
# Beyond the core after regrowth: the left lobe is thin and long.
_LEFT_MARGIN_MM, _MARGIN_MM = 60.0, 30.0


@dataclass(frozen=True, eq=False)
class Crop:
    """A box of voxels to keep of a scan, and the rule behind it."""

    of_grid: Grid
    """The scan's grid in the order R, A, S."""
    grid: Grid
    """The grid of the voxels to keep, in the order R, A, S."""
    rule: str
    """Reason for the choice of the box, one line for the log."""

    @property
    def first_voxel(self) -> tuple[int, int, int]:
        """Index of the first voxel to keep, in the scan in the order R, A, S."""
        position = self.of_grid.world_to_voxel(self.grid.affine[:3, 3])
        i, j, k = np.rint(position).astype(int).tolist()
        return i, j, k

    def cut(self, volume: V) -> V:
        """Cuts the box out of the scan, or out of a label map on the scan's grid.

        Raises:
            InputError: If the volume is on another grid.
        """
        if not reorder_grid_to_ras(volume.grid).is_close(self.of_grid):
            raise InputError(
                about="crop",
                expected=f"a volume on the scan's grid of {self.of_grid.shape}",
                got=f"a volume on another grid of {volume.grid.shape}",
                advice="resample it first",
            )
        ends = np.add(self.first_voxel, self.grid.shape)
        box = tuple(map(slice, self.first_voxel, ends))
        return type(volume)(reorder_volume_to_ras(volume).stored[box], self.grid)


def whole(image: Image) -> Crop:
    """The crop that keeps all voxels, in the order R, A, S."""
    grid = reorder_grid_to_ras(image.grid)
    return Crop(grid, grid, "nothing cut")


def head_crop(head: Image, *, is_ct: bool = False) -> Crop:
    """The box of 180 x 220 x 180 mm below the top of a head, with or without skull.

    It contains the brain, the eyes and most of the face.
    """
    grid = reorder_grid_to_ras(head.grid)
    # Along the scan's axes, which may be oblique.
    along_mm = np.array(list(np.ndindex(2, 2, 2))) - 0.5
    found = find_head(head, _HEAD_MM, is_ct=is_ct)
    center_mm = found.center_mm if found else head.grid.center_mm
    corners_mm = center_mm + (along_mm * _HEAD_MM) @ directions_to_ras(head.grid).T
    return _enclose(
        grid,
        grid.world_to_voxel(corners_mm),
        "180 x 220 x 180 mm from the top of the head downwards",
    )


def liver_crop(
    ct: Image, labels: LabelMap | None = None, *, liver: tuple[int, ...] = (1,)
) -> Crop:
    """The box around the liver, from its labels if available, else from thresholds.

    With labels: their bounding box plus 10 mm. With thresholds: soft tissue (0 to 220
    HU, smoothed) deeper than 15 mm below its surface, of which the connected component
    that lies most to the right of the body's middle; its bounding box plus 15 mm, plus
    60 mm to the left (the thin left lobe) and 30 mm elsewhere, within the body.

    Raises:
        InputError: If none of the labels occurs, or no soft tissue is that thick.
    """
    grid = reorder_grid_to_ras(ct.grid)
    if labels is None:
        coarse = resample_coarsely(ct)
        hounsfield = coarse.data - hounsfield_offset(ct)
        box = _liver_box(hounsfield, float(coarse.grid.spacing_mm[0]))
        corners_mm = coarse.grid.voxel_to_world(_all_corners(box))
        corners = grid.world_to_voxel(corners_mm)
        return _enclose(grid, corners, "thickest soft tissue on the right, 0 to 220 HU")
    is_liver = np.isin(labels.data, liver)
    if not is_liver.any():
        raise InputError(
            about="liver",
            expected=f"one of the labels {liver}",
            got=labels.labels[:9],
            advice="name the liver's labels, or crop without labels",
        )
    mask = reorder_volume_to_ras(LabelMap(is_liver.astype(np.uint8), labels.grid))
    margin = _MASK_MARGIN_MM / mask.grid.spacing_mm
    box = _box(mask.data > 0) + np.array([-margin, margin])
    corners = grid.world_to_voxel(mask.grid.voxel_to_world(_all_corners(box)))
    return _enclose(grid, corners, f"labels {liver} and {_MASK_MARGIN_MM:g} mm")


def _liver_box(hounsfield: Float[np.ndarray, "i j k"], voxel_mm: float) -> Corners:
    """The liver's box in a CT with cubic voxels in the order R, A, S."""
    body = _box(hounsfield > _BODY_HOUNSFIELD)
    core = _rightmost_component(_core(hounsfield, voxel_mm), body[:, 0].mean())
    first, last = _box(core)
    first = first - (_CORE_DEPTH_MM + _MARGIN_MM) / voxel_mm
    first[0] -= (_LEFT_MARGIN_MM - _MARGIN_MM) / voxel_mm
    last = last + (_CORE_DEPTH_MM + _MARGIN_MM) / voxel_mm
    return np.stack([np.maximum(first, body[0]), np.minimum(last, body[1])])


def _core(
    hounsfield: Float[np.ndarray, "i j k"], voxel_mm: float
) -> Bool[np.ndarray, "i j k"]:
    """Deep soft tissue; tissue cut off by the field of view counts as continuing."""
    low, high = _SOFT_TISSUE_HOUNSFIELD
    smooth = ndimage.gaussian_filter(hounsfield, _SMOOTHING_MM / voxel_mm)
    is_soft = np.pad((smooth > low) & (smooth < high), 1, mode="edge")
    depth_mm = ndimage.distance_transform_edt(is_soft)[1:-1, 1:-1, 1:-1] * voxel_mm
    return depth_mm > _CORE_DEPTH_MM


def _rightmost_component(
    core: Bool[np.ndarray, "i j k"], middle: float
) -> Bool[np.ndarray, "i j k"]:
    """The connected component with the largest excess of voxels on the right side.

    This separates the liver from heart and spleen, which lie on the left, and from
    brain, bladder and back muscles, which are symmetric.
    """
    parts, count = ndimage.label(core)
    if count == 0:
        raise InputError(
            about="liver",
            expected=f"soft tissue thicker than {2 * _CORE_DEPTH_MM:g} mm",
            got="none",
            advice="check that this is a CT of the abdomen in Hounsfield units",
        )
    sides = np.sign(np.arange(core.shape[0]) - middle)[:, None, None]
    excess = ndimage.sum_labels(sides * core, parts, range(1, count + 1))
    return parts == 1 + int(np.argmax(excess))


def _box(mask: Bool[np.ndarray, "i j k"]) -> Corners:
    """First and last occupied voxel along every axis; all voxels if none is."""
    occupied = np.argwhere(mask) if mask.any() else np.argwhere(~mask)
    return np.stack([occupied.min(axis=0), occupied.max(axis=0)]).astype(float)


def _all_corners(box: Corners) -> Float[np.ndarray, "8 3"]:
    return np.array(
        [
            [box[end, axis] for axis, end in enumerate(ends)]
            for ends in np.ndindex(2, 2, 2)
        ]
    )


def _enclose(grid: Grid, corners: Float[np.ndarray, "n 3"], rule: str) -> Crop:
    """The smallest box of the grid's voxels that contains the positions (in voxels).

    The tolerance keeps rounding errors from adding a voxel.
    """
    sizes = np.array(grid.shape)
    first = np.floor(corners.min(axis=0) + 1e-6).astype(int).clip(0, sizes - 1)
    last = np.ceil(corners.max(axis=0) - 1e-6).astype(int).clip(first, sizes - 1)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.voxel_to_world(first.astype(float))
    i, j, k = (last - first + 1).tolist()
    return Crop(grid, Grid((i, j, k), affine), rule)

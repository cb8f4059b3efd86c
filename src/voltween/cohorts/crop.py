"""Boxes around what a cohort is about: the liver of a CT, the brain of a head.

A crop keeps the scan's own voxels at their places in the world; it only leaves voxels
out and stores the others in the order R, A, S (section V-A 2).
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from voltween.errors import InputError
from voltween.preprocessing import head_center_mm, hounsfield_offset, resample_coarsely
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
"""First and last voxel of a box, maybe between voxels or beyond the grid."""

_HEAD_MM = np.array([180.0, 220.0, 180.0])  # along R, A and S; 11 mm more than brains
_MASK_MARGIN_MM = 10.0
_BODY_HOUNSFIELD = -200.0
_SOFT_TISSUE_HOUNSFIELD = (
    0.0,
    220.0,
)  # liver, with contrast or without; no fat or bone
_SMOOTHING_MM = 4.0
_CORE_DEPTH_MM = 15.0  # muscle and bowel are not as thick
# Beyond the core, grown back: the left lobe is thin and reaches far.
_LEFT_MARGIN_MM, _MARGIN_MM = 60.0, 30.0


@dataclass(frozen=True, eq=False)
class Crop:
    """Which voxels of a scan to keep, and why."""

    of_grid: Grid
    """The scan's grid in the order R, A, S."""
    grid: Grid
    """The voxels kept, in the order R, A, S."""
    rule: str
    """What decided over the box, in one line."""

    @property
    def first_voxel(self) -> tuple[int, int, int]:
        """Index in the scan, stored R, A, S, of the first voxel kept."""
        position = self.of_grid.world_to_voxel(self.grid.affine[:3, 3])
        i, j, k = np.rint(position).astype(int).tolist()
        return i, j, k

    def of(self, volume: V) -> V:
        """The kept voxels of the scan, or of a label map on the scan's grid.

        Raises:
            InputError: If the volume is on another grid.
        """
        if not reorder_grid_to_ras(volume.grid).is_close(self.of_grid):
            raise InputError(
                f"crop: expected a volume on the scan's grid of {self.of_grid.shape}, "
                f"got one of {volume.grid.shape} elsewhere: resample it first"
            )
        ends = np.add(self.first_voxel, self.grid.shape)
        box = tuple(map(slice, self.first_voxel, ends))
        return type(volume)(reorder_volume_to_ras(volume).data[box], self.grid)


def whole(image: Image) -> Crop:
    """All voxels, in the order R, A, S."""
    grid = reorder_grid_to_ras(image.grid)
    return Crop(grid, grid, "nothing cut")


def head_crop(head: Image) -> Crop:
    """The box of 180 x 220 x 180 mm that hangs from the top of a head.

    With skull or without. The brain is within, and so are eyes and most of the face.
    """
    grid = reorder_grid_to_ras(head.grid)
    along_mm = np.array(list(np.ndindex(2, 2, 2))) - 0.5  # its own axes, maybe oblique
    center_mm = head_center_mm(head, _HEAD_MM)
    corners_mm = center_mm + (along_mm * _HEAD_MM) @ directions_to_ras(head.grid).T
    return _cropped(
        grid,
        grid.world_to_voxel(corners_mm),
        "180 x 220 x 180 mm from the top of the head downwards",
    )


def liver_crop(
    ct: Image, labels: LabelMap | None = None, *, liver: tuple[int, ...] = (1,)
) -> Crop:
    """The box around the liver: of its labels where given, by thresholds where not.

    Labels: their box and 10 mm. Thresholds: of the soft tissue (0 to 220 HU, smoothed)
    more than 15 mm below its surface, the connected part that lies most to the right of
    the body's middle; its box and 15 mm, and 60 mm more to the left (the thin left
    lobe) and 30 mm elsewhere, as far as the body reaches.

    Raises:
        InputError: If none of the labels is there, or no soft tissue is that thick.
    """
    grid = reorder_grid_to_ras(ct.grid)
    if labels is None:
        coarse = resample_coarsely(ct)
        hounsfield = coarse.data - hounsfield_offset(ct)
        box = _liver_box(hounsfield, float(coarse.grid.spacing_mm[0]))
        corners_mm = coarse.grid.voxel_to_world(_all_corners(box))
        corners = grid.world_to_voxel(corners_mm)
        return _cropped(grid, corners, "thickest soft tissue on the right, 0 to 220 HU")
    is_liver = np.isin(labels.data, liver)
    if not is_liver.any():
        raise InputError(
            f"liver: expected one of the labels {liver}, got {labels.labels[:9]}: name "
            "the liver's labels, or crop without labels"
        )
    mask = reorder_volume_to_ras(LabelMap(is_liver.astype(np.uint8), labels.grid))
    margin = _MASK_MARGIN_MM / mask.grid.spacing_mm
    box = _box(mask.data > 0) + np.array([-margin, margin])
    corners = grid.world_to_voxel(mask.grid.voxel_to_world(_all_corners(box)))
    return _cropped(grid, corners, f"labels {liver} and {_MASK_MARGIN_MM:g} mm")


def _liver_box(hounsfield: Float[np.ndarray, "i j k"], voxel_mm: float) -> Corners:
    """Where the liver is in a CT on cubic voxels in the order R, A, S."""
    body = _box(hounsfield > _BODY_HOUNSFIELD)
    core = _most_on_the_right(_core(hounsfield, voxel_mm), body[:, 0].mean())
    first, last = _box(core)
    first = first - (_CORE_DEPTH_MM + _MARGIN_MM) / voxel_mm
    first[0] -= (_LEFT_MARGIN_MM - _MARGIN_MM) / voxel_mm
    last = last + (_CORE_DEPTH_MM + _MARGIN_MM) / voxel_mm
    return np.stack([np.maximum(first, body[0]), np.minimum(last, body[1])])


def _core(
    hounsfield: Float[np.ndarray, "i j k"], voxel_mm: float
) -> Bool[np.ndarray, "i j k"]:
    """Soft tissue that lies deep; what the field of view cuts off goes on beyond it."""
    low, high = _SOFT_TISSUE_HOUNSFIELD
    smooth = ndimage.gaussian_filter(hounsfield, _SMOOTHING_MM / voxel_mm)
    is_soft = np.pad((smooth > low) & (smooth < high), 1, mode="edge")
    depth_mm = ndimage.distance_transform_edt(is_soft)[1:-1, 1:-1, 1:-1] * voxel_mm
    return depth_mm > _CORE_DEPTH_MM


def _most_on_the_right(
    core: Bool[np.ndarray, "i j k"], middle: float
) -> Bool[np.ndarray, "i j k"]:
    """The connected part with most voxels more on the right than on the left.

    So are told from the liver heart and spleen, which lie left, and brain, bladder and
    the muscles of the back, which are as much on one side as on the other.
    """
    parts, count = ndimage.label(core)
    if count == 0:
        raise InputError(
            f"liver: expected soft tissue thicker than {2 * _CORE_DEPTH_MM:g} mm, got "
            "none: is this a CT of the abdomen in Hounsfield units?"
        )
    sides = np.sign(np.arange(core.shape[0]) - middle)[:, None, None]
    excess = ndimage.sum_labels(sides * core, parts, range(1, count + 1))
    return parts == 1 + int(np.argmax(excess))


def _box(mask: Bool[np.ndarray, "i j k"]) -> Corners:
    """First and last occupied voxel along every axis; the whole where there is none."""
    occupied = np.argwhere(mask) if mask.any() else np.argwhere(~mask)
    return np.stack([occupied.min(axis=0), occupied.max(axis=0)]).astype(float)


def _all_corners(box: Corners) -> Float[np.ndarray, "8 3"]:
    return np.array(
        [
            [box[end, axis] for axis, end in enumerate(ends)]
            for ends in np.ndindex(2, 2, 2)
        ]
    )


def _cropped(grid: Grid, corners: Float[np.ndarray, "n 3"], rule: str) -> Crop:
    """The smallest box of a grid's voxels that holds the positions (in its voxels).

    Rounding in the last digit must not decide over one voxel more.
    """
    sizes = np.array(grid.shape)
    first = np.floor(corners.min(axis=0) + 1e-6).astype(int).clip(0, sizes - 1)
    last = np.ceil(corners.max(axis=0) - 1e-6).astype(int).clip(first, sizes - 1)
    affine = grid.affine.copy()
    affine[:3, 3] = grid.voxel_to_world(first.astype(float))
    i, j, k = (last - first + 1).tolist()
    return Crop(grid, Grid((i, j, k), affine), rule)

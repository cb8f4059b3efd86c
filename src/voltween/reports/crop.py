"""Leaves faces out of what is shown of head scans.

With a label map, the labeled structures and what lies near them are shown. Without one,
an ellipsoid within the upper part of the head is shown, whose size follows the head's
width and length there: it ends before skin and eyes. That needs an upright adult head.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from voltween.preprocessing import find_foreground, looks_like_ct, resample_coarsely
from voltween.reports.display import choose_grid
from voltween.reports.pair import Crop, RegisteredPair
from voltween.spatial import Affine, Grid, Image, LabelMap, slabs

_AROUND_LABELS_MM = 5.0
_SLAB_VOXELS = 2_000_000  # of 24 bytes each, twice
_SMALLEST_SLICE_MM2 = 1000.0  # of a head; above are specks
_UPPER_MM = 90.0  # of the head, above the face
_STRAY = 0.01  # share of the foreground at either end that is no head
_WIDTHS_MM, _LENGTHS_MM = (110.0, 185.0), (130.0, 235.0)
_SHARE = 0.93  # of the head's half width and length
_CENTER_MM, _HALF_HEIGHT_MM = 78.0, 74.0  # below the top of the head


def without_faces(pair: RegisteredPair) -> RegisteredPair | None:
    """Returns the pair with all voxels away from the brain set to the background.

    None if there is a scan without labels in which no head is found: then nothing can
    be shown.
    """
    brains = (
        _brain(pair.fixed, pair.fixed_labels),
        _brain(pair.moving, pair.moving_labels),
    )
    if brains[0] is None or brains[1] is None:
        return None
    moving = _masked(pair.moving, brains[1])
    *_, transform = pair.tweening.values()
    inside = Affine.identity().resample(brains[0], onto=pair.jacobian.grid).data > 0
    return replace(
        pair,
        fixed=_masked(pair.fixed, brains[0]),
        moving=moving,
        moved=transform.resample(moving, onto=choose_grid(pair.fixed.grid)),
        jacobian=Image(np.where(inside, pair.jacobian.data, 1), pair.jacobian.grid),
    )


@dataclass(frozen=True, eq=False)
class ShownScans:
    """The scans of a pair as pictures of them show them."""

    fixed: Image
    moving: Image
    are_blank: bool = False
    """Whether nothing is shown, as a brain was not found."""


def scans_to_show(
    scans: tuple[Image, Image],
    labels: tuple[LabelMap | None, LabelMap | None],
    crop: Crop,
) -> ShownScans:
    """Returns the fixed and the moving scan, whole or without what is to be left out.

    With brain, all voxels away from the brain are set to the background. If a scan has
    neither labels nor a head that is recognized, both are blank.
    """
    if crop == "none":
        return ShownScans(*scans)
    fixed, moving = (_brain(*side) for side in zip(scans, labels, strict=True))
    if fixed is None or moving is None:
        return ShownScans(_blank(scans[0]), _blank(scans[1]), are_blank=True)
    return ShownScans(_masked(scans[0], fixed), _masked(scans[1], moving))


def _brain(scan: Image, labels: LabelMap | None) -> LabelMap | None:
    """The brain as 1 on a coarse grid over the scan; None if it is not found."""
    coarse = resample_coarsely(scan)
    if labels is not None:
        inside = _near_labels(labels, coarse.grid)
    else:
        threshold = find_foreground(scan, is_ct=looks_like_ct(scan)).threshold
        ellipsoid = _ellipsoid(coarse.data > threshold, coarse.grid)
        if ellipsoid is None:
            return None
        inside = ellipsoid
    return LabelMap(inside.astype(np.uint8), coarse.grid)


def _masked(scan: Image, brain: LabelMap) -> Image:
    inside = Affine.identity().resample(brain, onto=scan.grid).data > 0
    return Image(np.where(inside, scan.data, scan.outside_value), scan.grid)


def _blank(scan: Image) -> Image:
    return Image(np.full(scan.grid.shape, scan.outside_value, np.float32), scan.grid)


def _near_labels(labels: LabelMap, grid: Grid) -> Bool[np.ndarray, "i j k"]:
    """The voxels of the grid that lie near a labeled voxel."""
    from scipy.ndimage import distance_transform_edt  # slow to import, rarely needed

    is_empty = np.ones(grid.shape, bool)
    for first, stop in slabs(labels.grid.shape, _SLAB_VOXELS):
        labeled = np.argwhere(labels.data[first:stop]).astype(float)
        positions_mm = labels.grid.planes(first, stop).voxel_to_world(labeled)
        voxels = np.rint(grid.world_to_voxel(positions_mm)).astype(int)
        is_inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
        is_empty[tuple(voxels[is_inside].T)] = False
    if is_empty.all():
        return ~is_empty
    distance_mm = distance_transform_edt(is_empty, sampling=grid.spacing_mm)
    return distance_mm <= _AROUND_LABELS_MM


def _ellipsoid(
    head: Bool[np.ndarray, "i j k"], grid: Grid
) -> Bool[np.ndarray, "i j k"] | None:
    """The ellipsoid of the brain within a head in RAS order; None if it is no head."""
    voxel_mm = float(grid.spacing_mm[0])
    slices = np.flatnonzero(head.sum(axis=(0, 1)) * voxel_mm**2 > _SMALLEST_SLICE_MM2)
    if not slices.size:
        return None
    top = int(slices.max())
    upper = head[:, :, max(0, top - int(_UPPER_MM / voxel_mm)) : top + 1]
    right, front = _ends(upper.sum(axis=(1, 2))), _ends(upper.sum(axis=(0, 2)))
    width_mm, length_mm = (voxel_mm * float(np.ptp(ends)) for ends in (right, front))
    is_head = (
        _WIDTHS_MM[0] <= width_mm <= _WIDTHS_MM[1]
        and _LENGTHS_MM[0] <= length_mm <= _LENGTHS_MM[1]
    )
    if not is_head:
        return None
    middle = right.mean(), front.mean(), top - _CENTER_MM / voxel_mm
    half_mm = _SHARE * width_mm / 2, _SHARE * length_mm / 2, _HALF_HEIGHT_MM
    axes = np.ogrid[tuple(slice(0, size) for size in grid.shape)]
    distances = [
        ((axis - center) * voxel_mm / half) ** 2
        for axis, center, half in zip(axes, middle, half_mm, strict=True)
    ]
    return distances[0] + distances[1] + distances[2] < 1


def _ends(mass: np.ndarray) -> Float[np.ndarray, " 2"]:
    """Places between which all of a mass lies but for strays."""
    share = mass.cumsum() / max(1, mass.sum())
    return np.interp([_STRAY, 1 - _STRAY], share, np.arange(mass.size))

"""Takes off what a scan was padded with when it was resampled, also when it was turned.

A scan that was turned and resampled ends at oblique planes within its new grid. What
lies beyond, one constant value, was never scanned: taken for dark tissue, its edges are
the strongest of the image and lead a registration astray.
"""

from itertools import product
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial import Affine, Grid, Image

_SAMPLED_VOXELS = 200_000
_MOST_SCANNED = 0.95  # share of the voxels of a scan with padding
_LEAST_FILLED = 0.97  # share of a box that is not padding; 0.52 of that of an ellipsoid
_EDGE_VOXELS = 1.0  # where resampling mixes in the padding
_FEWEST_VOXELS = 8  # along each side of the box


class _Box(NamedTuple):
    """An oblique box of a grid, in its voxels."""

    directions: Float[np.ndarray, "3 3"]
    """Columns along the sides, in mm along the grid's axes."""
    center_mm: Float[np.ndarray, " 3"]
    """In mm along the grid's axes, from its first voxel."""
    extent_mm: Float[np.ndarray, " 3"]


_boxes: WeakKeyDictionary[Image, _Box | None] = WeakKeyDictionary()
"""Boxes of the scans in use: a registration asks several times for that of a scan."""


def without_padding(image: Image) -> Image:
    """Returns the box of the scan that was scanned, on a grid along its sides.

    The scan itself where it has no padding, or where what differs from the padding is
    no box: the background of a stripped brain is dark, not unknown. World positions
    stay as they are.
    """
    if image not in _boxes:
        _boxes[image] = _find_box(image)
    box = _boxes[image]
    if box is None:
        return image
    spacing_mm = image.grid.spacing_mm
    axes = image.grid.affine[:3, :3] / spacing_mm
    # Along an axis of the grid its voxel size, and between the sizes elsewhere.
    sides_mm = 1 / np.linalg.norm(box.directions / spacing_mm[:, None], axis=0)
    i, j, k = np.floor(box.extent_mm / sides_mm).astype(int) + 1
    grid = Grid.centered(
        (int(i), int(j), int(k)),
        center_mm=image.grid.affine[:3, 3] + axes @ box.center_mm,
        spacing_mm=tuple(sides_mm.tolist()),
        directions=axes @ box.directions,
    )
    return Affine.identity().resample(image, onto=grid)


def _find_box(image: Image) -> _Box | None:
    """The box of voxels that are not padding; None where there is none."""
    data = image.data
    corners = data[np.ix_(*([0, -1] for _ in range(3)))]
    if (corners != corners[0, 0, 0]).any():
        return None
    step = max(1, round((data.size / _SAMPLED_VOXELS) ** (1 / 3)))
    is_scanned = data[::step, ::step, ::step] != corners[0, 0, 0]
    if not _FEWEST_VOXELS**3 < is_scanned.sum() < _MOST_SCANNED * is_scanned.size:
        return None
    spacing_mm = image.grid.spacing_mm * step
    positions_mm = np.argwhere(is_scanned) * spacing_mm
    axes = np.linalg.eigh(np.cov(positions_mm.T))[1]
    if (
        np.ptp(axes.T @ positions_mm.T, axis=1).min()
        < _FEWEST_VOXELS * spacing_mm.min()
    ):
        return None  # a few planes have no box
    for directions in (axes, _turned_about(axes, positions_mm)):
        box = _bounds(directions, positions_mm)
        inside = _count_inside(box, is_scanned, spacing_mm)
        if len(positions_mm) > _LEAST_FILLED * inside:
            return _without_edge(box, image.grid)
    return None


def _without_edge(box: _Box, grid: Grid) -> _Box | None:
    """The box without its outermost voxels; None if it shows hardly anything."""
    voxel_mm = float(grid.spacing_mm.max())
    inner = box._replace(extent_mm=box.extent_mm - 2 * _EDGE_VOXELS * voxel_mm)
    return inner if (inner.extent_mm > _FEWEST_VOXELS * voxel_mm).all() else None


def _turned_about(
    axes: Float[np.ndarray, "3 3"], positions_mm: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "3 3"]:
    """The directions, about the shortest and the longest axis, of the smallest box.

    Of a box with two sides of one length, only the third is a principal axis.
    """
    outer_mm = np.ascontiguousarray(positions_mm[_are_ends(positions_mm)].T)
    best = axes
    for step, axis in product((3.0, 0.3), (0, 2)):
        tried = best @ _rotations(axis, np.radians(step * np.arange(-15, 16)))
        along = tried.transpose(0, 2, 1).reshape(-1, 3) @ outer_mm
        volumes = np.ptp(along, axis=1).reshape(-1, 3).prod(axis=1)
        best = tried[int(volumes.argmin())]
    return best


def _are_ends(positions: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
    """Whether positions, in the order of their voxels, are the ends of a row.

    All others lie between two of them and change no extent.
    """
    is_new_row = (np.diff(positions[:, :2], axis=0) != 0).any(axis=1)
    return np.append(True, is_new_row) | np.append(is_new_row, True)


def _rotations(
    axis: int, angles: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3 3"]:
    """Rotations by angles in radians about one of the three axes."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    matrices = np.tile(np.eye(3), (angles.size, 1, 1))
    matrices[:, one, one] = matrices[:, other, other] = np.cos(angles)
    matrices[:, other, one], matrices[:, one, other] = np.sin(angles), -np.sin(angles)
    return matrices


def _bounds(
    directions: Float[np.ndarray, "3 3"], positions_mm: Float[np.ndarray, "n 3"]
) -> _Box:
    along = directions.T @ positions_mm.T
    low, high = along.min(axis=1), along.max(axis=1)
    return _Box(directions, directions @ ((low + high) / 2), high - low)


def _count_inside(
    box: _Box, voxels: Bool[np.ndarray, "i j k"], spacing_mm: Float[np.ndarray, " 3"]
) -> int:
    """The number of voxels of an array that lie within a box."""
    is_inside = np.ones(voxels.shape, bool)
    axes_mm = [
        np.arange(n) * mm for n, mm in zip(voxels.shape, spacing_mm, strict=True)
    ]
    i_mm, j_mm, k_mm = np.ix_(*axes_mm)
    for side, extent_mm in zip(box.directions.T, box.extent_mm, strict=True):
        along = (
            side[0] * i_mm + side[1] * j_mm + (side[2] * k_mm - side @ box.center_mm)
        )
        is_inside &= np.abs(along) <= extent_mm / 2 + 1e-9
    return int(is_inside.sum())

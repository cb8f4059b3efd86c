"""Checks that labels, masks and landmarks lie on the scan that they are of."""

import warnings

import numpy as np
from jaxtyping import Bool, Float

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial.grid import Grid
from voltween.spatial.volume import LabelMap, Points

_USUAL_SHARE = 0.9  # of the labeled voxels on the scan
_LARGEST_SHIFT_VOXELS = 0.5  # of grids that are said to be one


def check_labels_on_scan(
    labels: LabelMap, scan: Grid, *, name: object = "labels"
) -> None:
    """Checks that labeled voxels lie on the grid of their scan, in world mm.

    A `SuspiciousInputWarning` says if fewer than nine tenths of them do, or if the
    label map has the scan's shape but covers another box by more than half a voxel, as
    after a change of one header. A map without labeled voxels passes.

    Raises:
        InputError: If none lies on the scan.
    """
    if labels.grid.is_close(scan):
        return
    positions_mm = labels.grid.voxel_to_world(
        np.argwhere(labels.data > 0).astype(float)
    )
    if not len(positions_mm):
        return
    share = float(_lie_on(positions_mm, scan).mean())
    if share == 0:
        raise InputError(
            about=name,
            expected="voxels > 0 on the scan",
            got=f"none: they lie around {_text(positions_mm.mean(axis=0))}, the scan "
            f"around {_text(scan.center_mm)}",
            advice="is it of this scan, and in the same place?",
        )
    shift_mm = _shift_mm(labels.grid, scan)
    if shift_mm > _LARGEST_SHIFT_VOXELS * scan.spacing_mm.min():
        fault = (
            f"it has the scan's shape, {labels.grid.shape}, but lies up to "
            f"{shift_mm:.3g} mm elsewhere: was one of the headers changed?"
        )
    elif share < _USUAL_SHARE:
        fault = (
            f"only {100 * share:.0f} % of its voxels > 0 lie on the scan: is it of "
            "this scan, and in the same place?"
        )
    else:
        return
    warnings.warn(f"{name}: {fault}", SuspiciousInputWarning, stacklevel=3)


def check_points_on_scan(points: Points, scan: Grid, *, name: object) -> None:
    """Warns if fewer than nine tenths of landmarks lie on their scan, in world mm."""
    share = float(_lie_on(points.mm, scan).mean()) if len(points.mm) else 1.0
    if share < _USUAL_SHARE:
        warnings.warn(
            f"{name}: only {100 * share:.0f} % of its points lie on the scan: they lie "
            f"around {_text(points.mm.mean(axis=0))}, the scan around "
            f"{_text(scan.center_mm)}: are they of this scan, and in this frame?",
            SuspiciousInputWarning,
            stacklevel=3,
        )


def _lie_on(
    positions_mm: Float[np.ndarray, "n 3"], grid: Grid
) -> Bool[np.ndarray, " n"]:
    """Whether positions lie on a grid, at most half a voxel beyond its centers."""
    voxels = grid.world_to_voxel(positions_mm)
    top = np.array(grid.shape) - 0.5
    return np.all((voxels >= -0.5) & (voxels <= top), axis=1)


def _shift_mm(labels: Grid, scan: Grid) -> float:
    """Distance in mm between the boxes of two grids of one shape; 0 for other shapes.

    It is the largest distance from a corner to the nearest corner of the other box, so
    that grids of one place whose axes are stored in another order have none.
    """
    if labels.shape != scan.shape:
        return 0.0
    one, other = _corners_mm(labels), _corners_mm(scan)
    distances_mm = np.linalg.norm(one[:, None] - other, axis=-1)
    return float(distances_mm.min(axis=1).max())


def _corners_mm(grid: Grid) -> Float[np.ndarray, "8 3"]:
    ends = np.indices((2, 2, 2)).reshape(3, -1).T * (np.array(grid.shape) - 1)
    return grid.voxel_to_world(ends.astype(float))


def _text(position_mm: Float[np.ndarray, " 3"]) -> str:
    return f"({', '.join(f'{mm:.0f}' for mm in position_mm)}) mm"

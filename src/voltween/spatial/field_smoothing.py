"""Smooths displacement fields where they fold, and only there.

A field is interpolated linearly between its voxels. On a finer grid its derivative is
made of one-sided differences, different in each of the eight cells around a voxel. If
the determinant is positive in all eight, so is that of the central differences, which
are their mean.
"""

from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial.grid import Grid
from voltween.spatial.transform import Field

Beyond = Literal["nearest", "constant"]
"""Continuation of a field beyond its grid for smoothing: its border values, or 0."""

_Box = tuple[slice, slice, slice]

_LEAST_DETERMINANT = 0.03  # with a margin for grids at other positions
_MAX_SMOOTHINGS = 40
_SMOOTHINGS_PER_REACH = 5
_FIRST_SMOOTHING_VOXELS = 0.5  # standard deviation; more would change too much


def smooth_folds(
    field: Field,
    around_mm: Float[np.ndarray, "n 3"],
    *,
    reach_voxels: int,
    beyond: Beyond,
) -> Field:
    """Smooths a field at its folds and around the positions `around_mm`, RAS+ mm.

    Smooths folded voxels fully and their neighbors less with distance, up to
    `reach_voxels`. Repeats with a wider reach and Gaussian until no voxel nearby folds
    by any of its eight determinants, at most 40 times. Outermost voxels without a
    displacement keep none, because the field continues beyond them as the identity.
    Returns the same object if there is nothing to smooth.
    """
    folds = smallest_determinants(field.to_flow()) <= 0
    folds |= _nearest_voxels(field.grid, around_mm)
    if not folds.any():
        return field
    vectors_mm = field.vectors_mm.copy()
    is_fixed = _is_unmoved_border(vectors_mm)
    to_voxels = np.linalg.inv(field.grid.affine[:3, :3]).T
    for n in range(_MAX_SMOOTHINGS):
        reach = reach_voxels + n // _SMOOTHINGS_PER_REACH
        deviation = _FIRST_SMOOTHING_VOXELS * reach**0.5
        pieces = _pieces(folds, reach)
        folds = np.zeros_like(folds)
        for box, piece in pieces:
            weights = np.where(is_fixed[box], 0, _weights(piece, reach))
            _smooth(vectors_mm[box], weights, deviation_voxels=deviation, beyond=beyond)
        for box, _ in pieces:
            flow = np.moveaxis(vectors_mm[box] @ to_voxels, -1, 0)
            folds[box] |= smallest_determinants(flow) < _LEAST_DETERMINANT
        if not folds.any():
            break
    return type(field)(field.grid, vectors_mm)


def smallest_determinants(
    flow: Float[np.ndarray, "3 i j k"],
) -> Float[np.ndarray, "i j k"]:
    """Computes the least of the eight one-sided Jacobian determinants at every voxel.

    The map is x -> x + flow(x), in voxels. At the border there are fewer than eight.
    """
    sides = []
    for axis in range(3):
        steps = np.diff(flow, axis=axis + 1)
        steps[axis] += 1
        at_end, at_start = np.zeros((2, 4, 2), int)
        at_end[axis + 1, 1] = at_start[axis + 1, 0] = 1
        sides.append([np.pad(steps, w, mode="edge") for w in (at_end, at_start)])
    smallest = np.full(flow.shape[1:], np.inf)
    for b, c in product(sides[1], sides[2]):
        normal = [b[n - 2] * c[n - 1] - b[n - 1] * c[n - 2] for n in range(3)]
        for a in sides[0]:
            determinant = a[0] * normal[0] + a[1] * normal[1] + a[2] * normal[2]
            np.minimum(smallest, determinant, out=smallest)
    return smallest


def _pieces(
    folds: Bool[np.ndarray, "i j k"], reach: int
) -> list[tuple[_Box, Bool[np.ndarray, "a b c"]]]:
    """Boxes around all voxels within `reach` of folds, and the folds in each box.

    Boxes can overlap; each fold counts in one of them.
    """
    # Imported here, as most registrations have no folds; the import takes 0.2 s.
    from scipy import ndimage

    near = ndimage.maximum_filter(folds.view(np.uint8), 2 * reach + 1)
    numbers, _ = ndimage.label(near, np.ones((3, 3, 3)))
    boxes: list[_Box] = ndimage.find_objects(numbers)
    return [(box, folds[box] & (numbers[box] == n)) for n, box in enumerate(boxes, 1)]


def _weights(
    folds: Bool[np.ndarray, "i j k"], reach: int
) -> Float[np.ndarray, "i j k"]:
    """1 at folds, decreasing linearly to 0 at a distance of `reach` voxels."""
    from scipy.ndimage import distance_transform_edt

    return (1 - distance_transform_edt(~folds) / reach).clip(0)


def _smooth(
    vectors: Float[np.ndarray, "i j k 3"],
    weights: Float[np.ndarray, "i j k"],
    *,
    deviation_voxels: float,
    beyond: Beyond,
) -> None:
    """Smooths vectors in place by a Gaussian, blended in by the weights (0 to 1)."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(vectors, deviation_voxels, axes=(0, 1, 2), mode=beyond)
    vectors += weights[..., None] * (smooth - vectors)


def _is_unmoved_border(
    vectors_mm: Float[np.ndarray, "i j k 3"],
) -> Bool[np.ndarray, "i j k"]:
    """The mask of the voxels at the border of the grid that have no displacement."""
    is_unmoved = np.all(vectors_mm == 0, axis=-1)
    is_unmoved[1:-1, 1:-1, 1:-1] = False
    return is_unmoved


def _nearest_voxels(
    grid: Grid, positions_mm: Float[np.ndarray, "n 3"]
) -> Bool[np.ndarray, "i j k"]:
    """The mask of the voxels nearest to one of the positions that lie on the grid."""
    is_nearest = np.zeros(grid.shape, bool)
    voxels = np.rint(grid.world_to_voxel(positions_mm)).astype(int)
    inside = ((voxels >= 0) & (voxels < grid.shape)).all(axis=1)
    is_nearest[tuple(voxels[inside].T)] = True
    return is_nearest

"""Chains of maps from voxels to voxels, evaluated by the compiled kernels.

A chain reads volumes and displacements at every voxel of a grid without holding the
positions: apart from its result, it needs next to no memory. Positions are in double
precision. The kernels use all cores that the process may use, or as many as the
environment variable OMP_NUM_THREADS says; results do not depend on their number.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from voltween.errors import InputError
from voltween.process import usable_cores
from voltween.spatial.grid import Grid
from voltween.spatial.native import native

Reading = Literal["linear", "continued", "spline"]
"""Reading of a field between its voxels, and beyond them.

linear: the identity more than half a voxel beyond the outermost voxels, as in ITK.
continued: linear, and the nearest displacement beyond the grid, without a jump.
spline: coefficients of a cubic B-spline; the identity beyond the last voxels but one.
"""

Matrix = Float[np.ndarray, "4 4"]

_FEW_VOXELS = 2**14  # below this, threads cost more than they save


class Warp(NamedTuple):
    """A field of displacements in world mm on a grid, as the kernels read it."""

    grid: Grid
    field: Float[np.ndarray, "i j k c"]
    """Vectors (I, J, K, 3), or coefficients of a spline (I, J, K, 4) and zeros."""
    reading: Reading


def link(
    steps: Sequence[Matrix | Warp], *, first: Matrix, last: Matrix
) -> native.Chain:
    """Links the matrix `first`, the steps (outermost first) and the matrix `last`.

    Steps map world mm to world mm. Neighboring matrices are multiplied.
    """
    matrix, fields = last, []
    for step in steps:
        if isinstance(step, Warp):
            fields.append((matrix @ step.grid.affine, step))
            matrix = np.linalg.inv(step.grid.affine)
        else:
            matrix = matrix @ step
    matrix = matrix @ first
    if not fields:
        return native.Chain(_rows(matrix))
    chain = native.Chain(_rows(fields[0][0]))
    for after, warp in reversed(fields):
        to_voxels = np.linalg.inv(warp.grid.affine[:3, :3])
        chain.add(_rows(matrix), warp.field, to_voxels, warp.reading)
        matrix = after
    return chain


def between_grids(
    steps: Sequence[Matrix | Warp], *, onto: Grid, moving: Grid
) -> native.Chain:
    """Links the map from voxels of `onto` through world mm to voxels of `moving`."""
    return link(steps, first=onto.affine, last=np.linalg.inv(moving.affine))


def map_positions(
    chain: native.Chain, positions: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n 3"]:
    """Maps positions, one per row."""
    rows = np.ascontiguousarray(positions.T, dtype=np.float64)
    mapped = np.empty_like(rows)
    native.map(chain, rows, mapped, _threads(rows.size))
    return mapped.T


def sample(
    chain: native.Chain,
    image: Float[np.ndarray, "i j k"],
    shape: tuple[int, int, int],
    *,
    outside: float,
    is_soft: bool = False,
) -> Float[np.ndarray, "_ _ _"]:
    """Interpolates an image linearly at the mapped voxels of a grid of this shape.

    Beyond the image, at half a voxel from its outermost voxels, the result is
    `outside`. If `is_soft`, the values fall to `outside` within one voxel instead, so
    that rounding does not decide about voxels right on the edge.
    """
    result = np.empty(shape, np.float32)
    native.sample(chain, image, outside, is_soft, result, _threads(result.size))
    return result


def pick(
    chain: native.Chain,
    volume: Shaped[np.ndarray, "i j k"],
    shape: tuple[int, int, int],
    within: Int[np.ndarray, "3 2"] | None = None,
) -> Shaped[np.ndarray, "_ _ _"]:
    """Takes the voxels nearest to the mapped voxels of a grid; 0 beyond the volume.

    `within` has the first voxel that is computed along each axis of the grid and that
    after the last; the others are 0. Without it, all are computed.
    """
    if within is None:
        within = np.array([(0, n) for n in shape])
    result = np.zeros(shape, volume.dtype)
    bits = f"u{volume.dtype.itemsize}"
    threads = _threads(int(np.diff(within).prod()))
    native.pick(chain, volume.view(bits), within, result.view(bits), threads)
    return result


def displacements_mm(chain: native.Chain, grid: Grid) -> Float[np.ndarray, "i j k 3"]:
    """Displacements in RAS+ mm of a map of the grid's voxels, at all of them."""
    result = np.empty((*grid.shape, 3))
    native.displacements(chain, _directions(grid), result, _threads(result.size))
    return result


def displacement_lengths_mm(
    chain: native.Chain, grid: Grid, where: Bool[np.ndarray, "i j k"]
) -> Float[np.ndarray, " n"]:
    """Lengths in mm of the displacements of some of a grid's voxels, single precision.

    They are those where the mask is true, in its order.
    """
    result = np.empty(grid.shape, np.float32)
    mask = np.ascontiguousarray(where).view(np.uint8)
    native.lengths(chain, _directions(grid), mask, result, _threads(result.size))
    return result[where]


def determinants(chain: native.Chain, grid: Grid) -> Float[np.ndarray, "i j k"]:
    """Determinants of the derivative of a map of the grid's voxels, single precision.

    By central differences over the voxels, one-sided at the border.

    Raises:
        InputError: If the grid has fewer than 2 voxels along an axis.
    """
    if min(grid.shape) < 2:
        raise InputError(
            about="grid of the Jacobian determinant",
            expected="at least 2 voxels along each axis",
            got=" x ".join(map(str, grid.shape)),
        )
    result = np.empty(grid.shape, np.float32)
    native.determinants(chain, result, _threads(result.size))
    return result


def find_origins(
    warp: Warp,
    positions: Float[np.ndarray, "3 n"],
    start: Float[np.ndarray, "3 n"],
    *,
    tolerance: float,
    iterations: int,
) -> tuple[Float[np.ndarray, "3 n"], Float[np.ndarray, "3 n"]]:
    """Finds origins that a field maps to positions; their errors T(origin) - position.

    All are in voxels of the field's grid.

    Each position is iterated from its start until its error is below the tolerance. A
    fixed-point step costs one evaluation of the map and is used as long as it at least
    halves the error; after that Newton's method is used, which costs seven. A Newton
    step that would increase the error is rejected and halved for the next iteration, so
    that the method converges wherever the map does not fold. It ends when such a step
    has been halved twelve times.
    """
    positions = np.ascontiguousarray(positions)
    origins, errors = start.copy(order="C"), np.empty(positions.shape)
    threads = _threads(8 * positions.size)
    chain = _lone_field(warp)
    native.invert(chain, positions, tolerance, iterations, origins, errors, threads)
    return origins, errors


def invert_field(
    warp: Warp,
    vectors_mm: Float[np.ndarray, "i j k 3"],
    *,
    tolerance: float,
    iterations: int,
) -> tuple[Float[np.ndarray, "i j k 3"], Float[np.ndarray, "i j k"]]:
    """Inverts a field at its voxels: vectors v in RAS+ mm with v(y) + u(y + v(y)) = 0.

    The second result are the residuals |v(y) + u(y + v(y))| in mm, in single precision.
    `vectors_mm` are u at the voxels; the tolerance is in voxels.

    Voxels are solved one after another along rows. Each starts from the solution before
    it and the derivative there, or from -u(y) where that one has failed, and takes
    Newton steps with the derivative of the field in single precision. Voxels that stay
    above the tolerance, as in folds, are solved as by `find_origins` from -u(y).
    """
    result = np.empty(vectors_mm.shape)
    residuals_mm = np.empty(warp.grid.shape, np.float32)
    native.invert_field(
        _lone_field(warp),
        vectors_mm,
        _directions(warp.grid),
        tolerance,
        iterations,
        result,
        residuals_mm,
        _threads(8 * result.size),
    )
    return result, residuals_mm


def solve_splines(values: Float[np.ndarray, "i j k c"]) -> None:
    """Turns values of cubic B-splines at the voxels into their coefficients, in place.

    There are no coefficients beyond the grid.
    """
    native.solve_splines(values, _threads(values.size))


def smooth(
    image: Float[np.ndarray, "i j k"], sigma_voxels: Sequence[float], *, reach: float
) -> Float[np.ndarray, "i j k"]:
    """Smooths by a Gaussian that ends at `reach` standard deviations, along each axis.

    The image is continued by its nearest voxels.
    """
    i, j, k = (_gaussian(float(sigma), reach) for sigma in sigma_voxels)
    result = np.empty(image.shape, np.float32)
    native.smooth(image, i, j, k, result, _threads(result.size))
    return result


def _gaussian(sigma: float, reach: float) -> Float[np.ndarray, " n"]:
    """Weights of a Gaussian from its middle to one side; all of them add up to 1."""
    radius = int(reach * sigma + 0.5)
    if radius == 0:
        return np.ones(1, np.float32)
    half = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    return (half / (2 * half.sum() - half[0])).astype(np.float32)


def _lone_field(warp: Warp) -> native.Chain:
    """Links the map of a field alone, from voxels to voxels of its grid."""
    chain = native.Chain(_rows(np.eye(4)))
    to_voxels = np.linalg.inv(_directions(warp.grid))
    chain.add(_rows(np.eye(4)), warp.field, to_voxels, warp.reading)
    return chain


def _rows(matrix: Matrix) -> Float[np.ndarray, "3 4"]:
    return np.ascontiguousarray(matrix[:3])


def _directions(grid: Grid) -> Float[np.ndarray, "3 3"]:
    return np.ascontiguousarray(grid.affine[:3, :3])


def _threads(numbers: int) -> int:
    """The number of threads for a result of so many numbers."""
    return 1 if numbers < _FEW_VOXELS else usable_cores()


def slabs(shape: tuple[int, int, int], voxels: int) -> list[tuple[int, int]]:
    """The first plane of every slab of about so many voxels, and that behind its last.

    Planes are those of the first axis.
    """
    thickness = max(1, voxels // math.prod(shape[1:]))
    return [
        (first, min(first + thickness, shape[0]))
        for first in range(0, shape[0], thickness)
    ]

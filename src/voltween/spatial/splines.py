"""Cubic B-splines on grids of voxels: coefficients, and values at the voxels.

u(x) = sum of c(n) B(x - n) over the voxels n, with the tensor product B of the cubic
B-spline. There are no coefficients beyond the grid. As in ITK, u is zero where a voxel
that it depends on is missing: below position 1 and above position n - 2 of n voxels.

At arbitrary positions the kernels evaluate the spline (see `chain`).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Components = Float[np.ndarray, "c i j k"]


def multiply_axes(
    matrices: Sequence[Float[np.ndarray, "_ _"]], components: Components
) -> Float[np.ndarray, "c _ _ _"]:
    """Multiplies the three axes of every component with one matrix each."""
    first, second, third = matrices
    c, i, j, k = components.shape
    result = np.matmul(first, components.reshape(c, i, j * k))
    result = np.matmul(second, result.reshape(c * len(first), j, k))
    result = result.reshape(-1, k) @ third.T
    return result.reshape(c, len(first), len(second), len(third))


def spline_coefficients(values: Components) -> Components:
    """Coefficients of the spline that has these values at the voxels."""
    inverses = [np.linalg.inv(_at_voxels(size)) for size in values.shape[1:]]
    return multiply_axes(inverses, values)


def spline_values(coefficients: Components) -> Components:
    """Values of a spline at the voxels, those at the border of the grid included."""
    return multiply_axes([_at_voxels(n) for n in coefficients.shape[1:]], coefficients)


def _at_voxels(size: int) -> Float[np.ndarray, "size size"]:
    """Matrix from coefficients to values at the voxels."""
    return 2 / 3 * np.eye(size) + np.eye(size, k=1) / 6 + np.eye(size, k=-1) / 6

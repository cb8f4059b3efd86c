"""Cubic B-splines on grids of voxels: their values at the voxels.

u(x) = sum of c(n) B(x - n) over the voxels n, with the tensor product B of the cubic
B-spline. There are no coefficients beyond the grid. As in ITK, u is zero where a voxel
that it depends on is missing: below position 1 and above position n - 2 of n voxels.

The kernels compute coefficients from values, and values at arbitrary positions (see
`chain`).
"""

import numpy as np
from jaxtyping import Float

Vectors = Float[np.ndarray, "i j k c"]


def spline_values(coefficients: Vectors) -> Vectors:
    """Values of a spline at the voxels, those at the border of the grid included."""
    values = coefficients
    for axis in range(3):
        before, along = np.moveaxis(values, axis, 0), 2 / 3 * values
        result = np.moveaxis(along, axis, 0)
        result[1:] += before[:-1] / 6
        result[:-1] += before[1:] / 6
        values = along
    return values

"""Cubic B-splines on grids of voxels: coefficients, values, values between voxels.

u(x) = sum of c(n) B(x - n) over the voxels n, with the tensor product B of the cubic
B-spline. There are no coefficients beyond the grid. As in ITK, u is zero where a voxel
that it depends on is missing: below position 1 and above position n - 2 of n voxels.

What is separable is a product with one matrix per axis, which takes no longer per voxel
than linear interpolation at arbitrary positions. At arbitrary positions ITK evaluates
the spline, which takes nine times as long.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

_MANY_POSITIONS = 3000  # fewer are read one by one: a chain copies the coefficients

Components = Float[np.ndarray, "c i j k"]


def spline_weights(
    positions: Float[np.ndarray, " n"], size: int
) -> Float[np.ndarray, "n size"]:
    """Weights of the `size` coefficients of one axis at positions in voxels."""
    distance = np.abs(positions[:, None] - np.arange(size))
    near = 2 / 3 - distance**2 + distance**3 / 2
    weights = np.where(distance < 1, near, (2 - distance).clip(0) ** 3 / 6)
    is_inside = (positions >= 1) & (positions <= size - 2)
    return weights * is_inside[:, None]


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


def read_spline(
    transform: sitk.BSplineTransform, positions: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """Evaluates a spline of displacements in voxels at positions (i, j, k).

    `transform` is that of `spline_transform`.
    """
    count = positions.shape[1]
    if count < _MANY_POSITIONS:
        mapped = [transform.TransformPoint(xyz) for xyz in positions[::-1].T.tolist()]
        return np.array(mapped).reshape(count, 3).T[::-1] - positions
    # A field of displacements that lead from voxel (n, 0, 0) to position n.
    steps = positions[::-1].T.copy()
    steps[:, 0] -= np.arange(count)
    to_positions = sitk.DisplacementFieldTransform(
        sitk.GetImageFromArray(steps.reshape(1, 1, count, 3), isVector=True)
    )
    chain = sitk.CompositeTransform([transform, to_positions])
    field = sitk.TransformToDisplacementField(
        chain, sitk.sitkVectorFloat64, (count, 1, 1)
    )
    return (sitk.GetArrayViewFromImage(field).reshape(count, 3) - steps).T[::-1]


def spline_transform(
    coefficients: Float[np.ndarray, "3 i j k"],
) -> sitk.BSplineTransform:
    """SimpleITK's map of voxels (k, j, i) of a spline of displacements in voxels."""
    images = [sitk.GetImageFromArray(component) for component in coefficients[::-1]]
    return sitk.BSplineTransform(images, 3)


def _at_voxels(size: int) -> Float[np.ndarray, "size size"]:
    """Matrix from coefficients to values at the voxels."""
    return 2 / 3 * np.eye(size) + np.eye(size, k=1) / 6 + np.eye(size, k=-1) / 6

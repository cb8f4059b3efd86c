"""Sums over the voxels of images and flows that losses are made of.

The compiled operations take tensors on the CPU, the stock ones all others. Tensors must
share one precision, single or double (`same_precision`).
"""

from jaxtyping import Float
from torch import Tensor

from voltween.ops import native, stock


def moments(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, "b 5"]:
    """Sums over all voxels of f, m, f f, m m, f m, in double precision."""
    operations = native if native.is_native(fixed, moved) else stock
    return operations.moments(fixed, moved)


def local_correlation_sums(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    width: int,
    floor: float,
) -> Float[Tensor, " b"]:
    """Sum over voxels of the squared correlation in cubes of `width` voxels.

    `floor` is added to numerator and denominator.
    """
    operations = native if native.is_native(fixed, moved) else stock
    return operations.local_correlation(fixed, moved, width, floor)


def variation_sums(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    """Sum of the squared forward differences of a flow, in squared voxels."""
    operations = native if native.is_native(flow) else stock
    return operations.total_variation(flow)


def kernel_sums(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, " n"]:
    """Sum over all points b of exp(-sharpness |x(a) - x(b)|), for every point a."""
    operations = native if native.is_native(points) else stock
    return operations.kernel_sums(points, sharpness)

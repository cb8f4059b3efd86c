"""Sums of an exponential kernel over all pairs of points, for entropies of samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import check_gradient, lay_out
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def kernel_sums(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, " n"]:
    """Sum over all points b of exp(-sharpness |x(a) - x(b)|), for every point a.

    |.| is the sum of absolute differences over the dimensions. The points must be in
    single or double precision (`same_precision`).
    """
    return KERNEL_SUMS(points, sharpness)


def _allocate(points: Tensor, sharpness: float) -> Tensor:
    return points.new_empty(points.shape[1])


def _check(points: Tensor) -> None:
    if points.ndim != 2:
        raise ValueError(
            f"points must have shape (dimensions, n), got {tuple(points.shape)}"
        )


def _forward(points: Tensor, sharpness: float) -> Tensor:
    _check(points)
    (points,) = lay_out(points)
    sums = _allocate(points, sharpness)
    native.kernel_sums(points, sharpness, sums, torch.get_num_threads())
    return sums


def _allocate_gradient(points: Tensor, gradient: Tensor, sharpness: float) -> Tensor:
    return points.new_empty(points.shape)


def _backward(points: Tensor, gradient: Tensor, sharpness: float) -> Tensor:
    _check(points)
    check_gradient(gradient, points.shape[1])
    points, gradient = lay_out(points, gradient)
    result = _allocate_gradient(points, gradient, sharpness)
    native.kernel_sums_backward(
        points, sharpness, gradient, result, torch.get_num_threads()
    )
    return result


def _stock(
    points: Float[Tensor, "dimensions n"], sharpness: float
) -> Float[Tensor, " n"]:
    distances = (points[:, :, None] - points[:, None, :]).abs().sum(0)
    return torch.exp(-sharpness * distances).sum(1)


KERNEL_SUMS = NativeOperation(
    "kernel_sums",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradient),
    stock=_stock,
)
"""(points, sharpness): sum over b of exp(-sharpness |x(a) - x(b)|) for every a."""

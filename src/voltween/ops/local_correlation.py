"""Squared correlation of two images within cubes of voxels, summed over all voxels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    allocate_wanted,
    check_gradient,
    check_shape,
    check_volume,
    check_wants,
    check_width,
    lay_out,
    or_none,
    useful_width,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def local_correlation_sums(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    width: int,
    floor: float,
) -> Float[Tensor, " b"]:
    """Sum over voxels of the squared correlation in the cube of `width` voxels around.

    Cubes end at the border. `floor` is added to numerator and denominator. Both images
    must have one precision, single or double (`same_precision`).
    """
    return LOCAL_CORRELATION(fixed, moved, width, floor)


def _allocate(fixed: Tensor, moved: Tensor, width: int, floor: float) -> Tensor:
    return fixed.new_empty(len(fixed), dtype=torch.float64)


def _check(fixed: Tensor, moved: Tensor, width: int) -> None:
    check_volume("fixed image", fixed)
    check_shape("fixed image", fixed, len(fixed), 1, *fixed.shape[2:])
    check_shape("moved image", moved, *fixed.shape)
    check_width(width)


def _forward(fixed: Tensor, moved: Tensor, width: int, floor: float) -> Tensor:
    _check(fixed, moved, width)
    fixed, moved = lay_out(fixed, moved)
    sums = _allocate(fixed, moved, width, floor)
    width = useful_width(width, fixed.shape[2:])
    native.local_correlation(fixed, moved, width, floor, sums, torch.get_num_threads())
    return sums


def _allocate_gradients(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    width: int,
    floor: float,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    return allocate_wanted(fixed, moved, wants)


def _backward(
    fixed: Tensor,
    moved: Tensor,
    gradient: Tensor,
    width: int,
    floor: float,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    _check(fixed, moved, width)
    check_gradient(gradient, len(fixed))
    check_wants(wants)
    fixed, moved, gradient = lay_out(fixed, moved, gradient)
    gradients = allocate_wanted(fixed, moved, wants)
    width = useful_width(width, fixed.shape[2:])
    native.local_correlation_backward(
        fixed,
        moved,
        width,
        floor,
        gradient,
        *or_none(gradients, wants),
        torch.get_num_threads(),
    )
    return gradients


def _stock(
    fixed: Float[Tensor, "b 1 i j k"],
    moved: Float[Tensor, "b 1 i j k"],
    width: int,
    floor: float,
) -> Float[Tensor, " b"]:
    check_width(width)
    width = useful_width(width, fixed.shape[2:])
    fields = [fixed, moved, fixed.square(), moved.square(), fixed * moved]
    means = _box_mean(torch.cat(fields, dim=1), width)
    mean_f, mean_m, square_f, square_m, product = means.split(1, dim=1)
    covariance = product - mean_f * mean_m
    variance_f = (square_f - mean_f.square()).clamp_min(0)
    variance_m = (square_m - mean_m.square()).clamp_min(0)
    shared = covariance.square() + floor
    return (shared / (variance_f * variance_m + floor)).sum((1, 2, 3, 4))


def _box_mean(images: Tensor, width: int) -> Tensor:
    # Three one-dimensional passes: the mean over a cube is separable. `inside` counts
    # the voxels of a cube that lie within the border.
    for axis in range(3):
        kernel, padding = [1, 1, 1], [0, 0, 0, 0, 0, 0]
        kernel[axis] = width
        padding[4 - 2 * axis : 6 - 2 * axis] = [width // 2, width // 2]
        sums, inside = (
            nn_functional.avg_pool3d(nn_functional.pad(x, padding), kernel, stride=1)
            for x in (images, torch.ones_like(images[:1, :1]))
        )
        images = sums / inside
    return images


LOCAL_CORRELATION = NativeOperation(
    "local_correlation",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradients),
    stock=_stock,
    skips_unwanted=True,
)
"""(fixed, moved, width, floor): sum of the squared correlation in cubes of voxels."""

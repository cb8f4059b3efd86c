"""Moments of two images, from which the correlation coefficient is computed."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    allocate_wanted,
    check_gradient,
    check_shape,
    check_volume,
    check_wants,
    lay_out,
    or_none,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def moments(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, "b 5"]:
    """Sums of f, m, f f, m m and f m over all voxels, in double precision.

    Both images must have one precision, single or double (`same_precision`).
    """
    return MOMENTS(fixed, moved)


def _allocate(fixed: Tensor, moved: Tensor) -> Tensor:
    return fixed.new_empty(len(fixed), 5, dtype=torch.float64)


def _check(fixed: Tensor, moved: Tensor) -> None:
    check_volume("fixed image", fixed)
    check_shape("moved image", moved, *fixed.shape)


def _forward(fixed: Tensor, moved: Tensor) -> Tensor:
    _check(fixed, moved)
    fixed, moved = lay_out(fixed, moved)
    sums = _allocate(fixed, moved)
    native.moments(fixed, moved, sums, torch.get_num_threads())
    return sums


def _allocate_gradients(
    fixed: Tensor, moved: Tensor, gradient: Tensor, wants: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    return allocate_wanted(fixed, moved, wants)


def _backward(
    fixed: Tensor, moved: Tensor, gradient: Tensor, wants: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    _check(fixed, moved)
    check_gradient(gradient, len(fixed), 5)
    check_wants(wants)
    fixed, moved, gradient = lay_out(fixed, moved, gradient)
    gradients = allocate_wanted(fixed, moved, wants)
    native.moments_backward(
        fixed, moved, gradient, *or_none(gradients, wants), torch.get_num_threads()
    )
    return gradients


def _stock(
    fixed: Float[Tensor, "b c i j k"], moved: Float[Tensor, "b c i j k"]
) -> Float[Tensor, "b 5"]:
    f, m = fixed.double().flatten(1), moved.double().flatten(1)
    return torch.stack([x.sum(1) for x in (f, m, f * f, m * m, f * m)], dim=1)


MOMENTS = NativeOperation(
    "moments",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradients),
    stock=_stock,
    skips_unwanted=True,
)
"""(fixed, moved): sums of f, m, f f, m m, f m over all voxels."""

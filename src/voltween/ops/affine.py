"""Affine flows A x + b, and their composition with dense flows (eq. 11, 19).

A has no unit, b is in voxels, and x is counted in voxels from the center of the grid.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    check_flow,
    check_gradient,
    check_shape,
    lay_out,
    same_precision,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation
from voltween.ops.positions import voxel_positions


def affine_flow(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    shape: tuple[int, ...] | torch.Size,
) -> Float[Tensor, "b 3 i j k"]:
    """Flow A x + b in voxels, with x counted from the center of the grid (eq. 11)."""
    rest = matrix.new_zeros(1).expand(len(matrix), 3, *shape)
    return compose_affine(matrix, translation, rest)


def compose_affine(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    inner: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b 3 i j k"]:
    """Returns the flow of the affine flow A x + b after `inner`, in voxels.

    It is (I + A) inner + A x + b (eq. 19). Exact: nothing is interpolated, and the
    domain does not shrink.
    """
    numbers = torch.cat([matrix.flatten(1), translation], dim=1)
    numbers, inner = same_precision(numbers, inner)
    return COMPOSE_AFFINE(numbers, inner)


def _allocate(numbers: Tensor, inner: Tensor) -> Tensor:
    return inner.new_empty(inner.shape)


def _check(numbers: Tensor, inner: Tensor) -> None:
    check_flow("inner flow", inner)
    check_shape("affine numbers", numbers, len(inner), 12)


def _forward(numbers: Tensor, inner: Tensor) -> Tensor:
    _check(numbers, inner)
    numbers, inner = lay_out(numbers, inner)
    result = _allocate(numbers, inner)
    native.compose_affine(numbers, inner, result, torch.get_num_threads())
    return result


def _allocate_gradients(
    numbers: Tensor, inner: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    return numbers.new_empty(numbers.shape), inner.new_empty(inner.shape)


def _backward(
    numbers: Tensor, inner: Tensor, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    _check(numbers, inner)
    check_gradient(gradient, *inner.shape)
    numbers, inner, gradient = lay_out(numbers, inner, gradient)
    gradients = _allocate_gradients(numbers, inner, gradient)
    native.compose_affine_backward(
        numbers, inner, gradient, *gradients, torch.get_num_threads()
    )
    return gradients


def _stock(
    numbers: Float[Tensor, "b 12"], inner: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b 3 i j k"]:
    shape = inner.shape[2:]
    center = (torch.tensor(shape, dtype=inner.dtype, device=inner.device) - 1) / 2
    positions = voxel_positions(shape, like=inner) - center[None, :, None, None, None]
    moved = (positions + inner).flatten(2)
    change = numbers[:, :9].unflatten(1, (3, 3)) @ moved + numbers[:, 9:, None]
    return inner + change.view_as(inner)


COMPOSE_AFFINE = NativeOperation(
    "compose_affine",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradients),
    stock=_stock,
)
"""(numbers, inner): (I + A) inner + A x + b; `numbers` (B, 12) are A, then b."""

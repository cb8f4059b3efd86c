"""Linear interpolation of a field from control points, which span the grid."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    check_gradient,
    check_volume,
    lay_out,
    same_precision,
)
from voltween.ops.native import native, runs_compiled
from voltween.ops.operation import Kernel, NativeOperation, Saved


def spread(
    control: Float[Tensor, "b c _ _ _"], shape: Sequence[int]
) -> Float[Tensor, "b c i j k"]:
    """Returns the values at every voxel of a grid, trilinear between control points.

    The first and the last control point of an axis are its first and its last voxel.
    """
    if tuple(control.shape[2:]) == tuple(shape):
        return control
    (control,) = same_precision(control)
    return SPREAD(control, list(shape))


def gather(
    gradient: Float[Tensor, "b c i j k"], control: Float[Tensor, "b c _ _ _"]
) -> Float[Tensor, "b c _ _ _"]:
    """Returns the gradient with respect to control points; the adjoint of `spread`.

    `gradient` is that with respect to the values at the voxels. Autograd would give the
    same after further passes over the grid.
    """
    if control.shape[2:] == gradient.shape[2:]:
        return gradient
    if runs_compiled(gradient):
        return _backward(control, gradient)
    with torch.enable_grad():
        leaf = control.detach().requires_grad_()
        values = _stock(leaf, gradient.shape[2:])
        return torch.autograd.grad((values * gradient).sum(), leaf)[0]


def _allocate(control: Tensor, shape: Sequence[int]) -> Tensor:
    return control.new_empty(*control.shape[:2], *shape)


def _forward(control: Tensor, shape: Sequence[int]) -> Tensor:
    check_volume("control points", control)
    _check_sides(control.shape[2:], shape)
    (control,) = lay_out(control)
    result = _allocate(control, shape)
    native.spread(control, result, torch.get_num_threads())
    return result


def _allocate_gradient(control: Tensor, gradient: Tensor) -> Tensor:
    return control.new_empty(control.shape)


def _backward(control: Tensor, gradient: Tensor) -> Tensor:
    check_volume("control points", control)
    check_volume("gradient", gradient)
    check_gradient(gradient, *control.shape[:2], *gradient.shape[2:])
    _check_sides(control.shape[2:], gradient.shape[2:])
    (gradient,) = lay_out(gradient)
    result = _allocate_gradient(control, gradient)
    native.spread_backward(gradient, result, torch.get_num_threads())
    return result


def _check_sides(points: Sequence[int], shape: Sequence[int]) -> None:
    if len(points) != 3 or len(shape) != 3 or min(*points, *shape) < 1:
        raise ValueError(
            "control points and grid must have shape (I, J, K) of at least 1, got "
            f"{tuple(points)} and {tuple(shape)}"
        )


def _save(inputs: tuple[Any, ...], output: Tensor) -> Saved:
    return (inputs[0],), ()  # for its shape and precision


def _stock(
    control: Float[Tensor, "b c _ _ _"], shape: Sequence[int]
) -> Float[Tensor, "b c i j k"]:
    return nn_functional.interpolate(
        control, size=tuple(shape), mode="trilinear", align_corners=True
    )


SPREAD = NativeOperation(
    "spread",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradient),
    stock=_stock,
    saves=_save,
)
"""(control, shape): the control points' values, interpolated at every voxel."""

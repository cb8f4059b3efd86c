"""Jacobian determinant of x -> x + flow(x), and the share of voxels that fold."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    check_flow,
    check_gradient,
    lay_out,
    same_precision,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def jacobian_determinant(
    flow: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k"]:
    """Determinant of the derivative of x + flow(x): local volume ratio, 1 at rest.

    Central differences, one-sided at the border; `flow` in voxels of its grid.

    Raises:
        ValueError: If an axis has fewer than 2 voxels.
    """
    if min(flow.shape[2:]) < 2:
        raise ValueError(
            "flow must have at least 2 voxels along each axis, got "
            f"{tuple(flow.shape[2:])}"
        )
    return JACOBIAN(*same_precision(flow))


def folding_fraction(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    """Share (0 to 1) of voxels whose Jacobian determinant is not positive."""
    return (jacobian_determinant(flow) <= 0).to(flow.dtype).mean(dim=(1, 2, 3))


def _allocate(flow: Tensor) -> Tensor:
    return flow.new_empty(len(flow), *flow.shape[2:])


def _forward(flow: Tensor) -> Tensor:
    check_flow("flow", flow)
    (flow,) = lay_out(flow)
    determinant = _allocate(flow)
    native.jacobian(flow, determinant, torch.get_num_threads())
    return determinant


def _allocate_gradient(flow: Tensor, gradient: Tensor) -> Tensor:
    return flow.new_empty(flow.shape)


def _backward(flow: Tensor, gradient: Tensor) -> Tensor:
    check_flow("flow", flow)
    check_gradient(gradient, len(flow), *flow.shape[2:])
    flow, gradient = lay_out(flow, gradient)
    result = _allocate_gradient(flow, gradient)
    native.jacobian_backward(flow, gradient, result, torch.get_num_threads())
    return result


def _stock(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, "b i j k"]:
    rows = [
        torch.stack(torch.gradient(flow[:, c], dim=(1, 2, 3)), dim=-1) for c in range(3)
    ]
    derivative = torch.stack(rows, dim=-2)
    derivative = derivative + torch.eye(3, dtype=flow.dtype, device=flow.device)
    a, b, c = derivative.unbind(-2)
    return (a * torch.linalg.cross(b, c)).sum(-1)


JACOBIAN = NativeOperation(
    "jacobian",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradient),
    stock=_stock,
)
"""(flow): determinant of the derivative of x + flow(x)."""

"""Squared differences between neighboring vectors of a flow, summed."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import check_flow, check_gradient, lay_out
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation


def variation_sums(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    """Sum of the squared forward differences of a flow, in squared voxels.

    The flow must be in single or double precision (`same_precision`); the compiled
    operation returns sums in double precision.
    """
    return TOTAL_VARIATION(flow)


def _allocate(flow: Tensor) -> Tensor:
    return flow.new_empty(len(flow), dtype=torch.float64)


def _forward(flow: Tensor) -> Tensor:
    check_flow("flow", flow)
    (flow,) = lay_out(flow)
    sums = _allocate(flow)
    native.total_variation(flow, sums, torch.get_num_threads())
    return sums


def _allocate_gradient(flow: Tensor, gradient: Tensor) -> Tensor:
    return flow.new_empty(flow.shape)


def _backward(flow: Tensor, gradient: Tensor) -> Tensor:
    check_flow("flow", flow)
    check_gradient(gradient, len(flow))
    flow, gradient = lay_out(flow, gradient)
    result = _allocate_gradient(flow, gradient)
    native.total_variation_backward(flow, gradient, result, torch.get_num_threads())
    return result


def _stock(flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, " b"]:
    sums = [flow.diff(dim=axis).square().sum((1, 2, 3, 4)) for axis in (2, 3, 4)]
    return torch.stack(sums).sum(0)


TOTAL_VARIATION = NativeOperation(
    "total_variation",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradient),
    stock=_stock,
)
"""(flow): sum of the squared forward differences."""

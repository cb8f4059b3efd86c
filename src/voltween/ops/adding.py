"""Functions of a flow that compute value and gradient in one call.

Each returns its value, and adds its gradient times `scale` to a tensor of the flow's
shape, which is contiguous and of the flow's precision. So the terms of an objective are
computed one after another, without a graph and without a tensor per term.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops.arguments import (
    check_flow,
    check_shape,
    check_width,
    lay_out,
    useful_width,
)
from voltween.ops.jacobian import jacobian_determinant
from voltween.ops.native import native, runs_compiled
from voltween.ops.variation import variation_sums

_CHANNELS = 16  # kChannels of src/native/warped_features.h


def add_gradient(
    function: Callable[[Tensor], Tensor],
    at: Tensor,
    *,
    scale: float,
    gradient: Tensor,
) -> float:
    """Returns a scalar function's value; adds its gradient as autograd computes it."""
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        value = function(leaf)
        if value.requires_grad:
            gradient.add_(torch.autograd.grad(value, leaf)[0], alpha=scale)
    return value.item()


def add_variation(
    flow: Float[Tensor, "b 3 i j k"],
    *,
    scale: float,
    gradient: Float[Tensor, "b 3 i j k"],
) -> float:
    """Sum of the squared forward differences of a flow, in squared voxels."""
    if not runs_compiled(flow):
        return add_gradient(
            lambda leaf: variation_sums(leaf).sum(),
            flow,
            scale=scale,
            gradient=gradient,
        )
    flow = _check(flow, gradient)
    total = torch.empty(1, dtype=torch.float64)
    native.add_variation(flow, scale, total, gradient, torch.get_num_threads())
    return total.item()


def add_folding(
    flow: Float[Tensor, "b 3 i j k"],
    least: float,
    *,
    scale: float,
    gradient: Float[Tensor, "b 3 i j k"],
) -> float:
    """Sum over the voxels of what the Jacobian determinant lacks to `least`.

    Raises:
        ValueError: If an axis has fewer than 2 voxels.
    """
    if not runs_compiled(flow) or min(flow.shape[2:]) < 2:
        return add_gradient(
            lambda leaf: (least - jacobian_determinant(leaf)).clamp_min(0).sum(),
            flow,
            scale=scale,
            gradient=gradient,
        )
    flow = _check(flow, gradient)
    total = torch.empty(1, dtype=torch.float64)
    native.add_folding(flow, least, scale, total, gradient, torch.get_num_threads())
    return total.item()


class Window(NamedTuple):
    """The cubes of a local correlation."""

    width: int
    """Side in voxels, an odd number."""
    floor: float
    """Number that is added to numerator and denominator."""


class WarpedCorrelation:
    """Local correlation loss of a fixed and a warped image, as a function of the flow.

    One item, one channel; compiled only (`runs_compiled`). What is the same for every
    flow is computed once.
    """

    def __init__(
        self,
        fixed: Float[Tensor, "1 1 i j k"],
        moving: Float[Tensor, "1 1 i j k"],
        window: Window,
    ) -> None:
        """Prepares a pair of images.

        Raises:
            ValueError: If they are not of one shape, or the width is not odd.
        """
        check_width(window.width)
        check_shape("fixed image", fixed, 1, 1, *fixed.shape[2:])
        check_shape("moving image", moving, *fixed.shape)
        self._floor = window.floor
        # An offset changes nothing but the rounding of the variances.
        fixed, moving = fixed - fixed.nanmean(), moving - moving.nanmean()
        self._fixed, self._moving = lay_out(fixed, moving)
        self._width = useful_width(window.width, fixed.shape[2:])
        self._statistics = fixed.new_empty(1, 2, *fixed.shape[2:])
        threads = torch.get_num_threads()
        native.cube_statistics(self._fixed, self._width, self._statistics, threads)

    def add(
        self,
        numbers: Float[Tensor, "1 12"],
        inner: Float[Tensor, "1 3 i j k"],
        weights: Float[Tensor, "1 1 i j k"] | None,
        *,
        scale: float,
        gradient: Float[Tensor, "1 3 i j k"],
    ) -> float:
        """1 - squared correlation in the cube around a voxel, mean over the voxels.

        The moving image is read at A x + b (`numbers`: A, then b) after `inner`; the
        gradient is that with respect to `inner`. With weights, a cube counts by the
        weight at its center, and its voxels count by their own.
        """
        numbers, inner = _check_flows(numbers, inner, self._fixed.shape[2:], gradient)
        weights, total = _lay_out_weights(weights, inner)
        if total == 0:
            return 0.0
        result = torch.empty(1, dtype=torch.float64)
        native.add_warped_correlation(
            self._fixed,
            self._statistics,
            self._moving,
            weights,
            numbers,
            inner,
            self._width,
            self._floor,
            -scale / total,
            result,
            gradient,
            torch.get_num_threads(),
        )
        return 1 - result.item() / total


class WarpedFeatures:
    """Difference of fixed and warped features, as a function of the flow.

    One item; compiled only (`runs_compiled`).
    """

    def __init__(
        self,
        fixed: Float[Tensor, "1 n i j k"],
        moving: Float[Tensor, "1 n i j k"],
        unit: float,
    ) -> None:
        """Prepares a pair of features.

        `unit` is the mean squared difference by which the result is divided.

        Raises:
            ValueError: If they are not of one shape.
        """
        check_shape("fixed features", fixed, 1, *fixed.shape[1:])
        check_shape("moving features", moving, *fixed.shape)
        self._shape = fixed.shape[2:]
        self._unit = unit * fixed.shape[1]
        self._fixed, self._moving = _channels_last(fixed), _channels_last(moving)

    def add(
        self,
        numbers: Float[Tensor, "1 12"],
        inner: Float[Tensor, "1 3 i j k"],
        weights: Float[Tensor, "1 1 i j k"] | None,
        *,
        scale: float,
        gradient: Float[Tensor, "1 3 i j k"],
    ) -> float:
        """Mean squared difference over channels and voxels, in units.

        The moving features are read at A x + b (`numbers`: A, then b) after `inner`;
        the gradient is that with respect to `inner`. A voxel counts by its weight.
        """
        numbers, inner = _check_flows(numbers, inner, self._shape, gradient)
        weights, total = _lay_out_weights(weights, inner)
        if total == 0:
            return 0.0
        result = torch.empty(1, dtype=torch.float64)
        native.add_warped_difference(
            self._fixed,
            self._moving,
            weights,
            numbers,
            inner,
            self._fixed.shape[3],
            scale / (total * self._unit),
            result,
            gradient,
            torch.get_num_threads(),
        )
        return result.item() / (total * self._unit)


def _channels_last(features: Tensor) -> Float[Tensor, "i j k n"]:
    """Features with zeros up to a multiple of the channels of a step of the kernel."""
    missing = -features.shape[1] % _CHANNELS
    (last,) = lay_out(functional.pad(features[0].permute(1, 2, 3, 0), (0, missing)))
    return last


def _check_flows(
    numbers: Tensor, inner: Tensor, shape: Sequence[int], gradient: Tensor
) -> tuple[Tensor, Tensor]:
    check_shape("affine numbers", numbers, 1, 12)
    check_shape("inner flow", inner, 1, 3, *shape)
    inner = _check(inner, gradient)
    (numbers,) = lay_out(numbers.to(inner.dtype))
    return numbers, inner


def _lay_out_weights(
    weights: Tensor | None, inner: Tensor
) -> tuple[Tensor | None, float]:
    """The weights as the kernels read them, and their sum."""
    if weights is None:
        return None, float(inner[0, 0].numel())
    check_shape("weights", weights, 1, 1, *inner.shape[2:])
    (weights,) = lay_out(weights.to(inner.dtype))
    return weights, weights.sum().item()


def _check(flow: Tensor, gradient: Tensor) -> Tensor:
    """The flow as the kernels read it, which write to the gradient as it is."""
    check_flow("flow", flow)
    check_shape("gradient", gradient, *flow.shape)
    if not gradient.is_contiguous() or gradient.dtype != flow.dtype:
        raise ValueError("gradient must be contiguous and of the flow's precision")
    (flow,) = lay_out(flow)
    return flow

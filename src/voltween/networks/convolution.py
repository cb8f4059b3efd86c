"""A 3D convolution by the fastest algorithm for its size on a CPU.

PyTorch chooses badly at both ends: it sends small features of a single pair to a slow
fallback, and several pairs on a grid of a few voxels to kernels that rearrange millions
of weights for a handful of voxels. Results are equal up to rounding.
"""

from itertools import product
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv3d, linear, pad

from voltween.errors import InputError
from voltween.networks.gradients import (
    Geometry,
    gradient_of_features,
    gradient_of_weights,
)
from voltween.ops import winograd_once

# Up to 5^3 voxels, a matrix product is faster, measured with 1 and 2 pairs.
_FEW_VOXELS = 125
_SIZE = 3  # of the kernels that halve the grid

Padding = Literal["symmetric", "same-tf"]


def convolve(
    x: Float[Tensor, "b c i j k"],
    weight: Float[Tensor, "c2 c size size size"],
    bias: Float[Tensor, " c2"] | None = None,
    stride: int = 1,
    *,
    padding: int = 1,
) -> Float[Tensor, "b c2 i2 j2 k2"]:
    """Returns the convolution, with as many zeros on every side of the features.

    The result has its channels last in memory.
    """
    if x.device.type != "cpu":
        return conv3d(x, weight, bias, stride, padding)
    geometry = Geometry(stride, padding)
    if _voxels_after(x.shape, weight.shape[-1], geometry) <= _FEW_VOXELS:
        return _multiply_matrices(x, weight, bias, geometry)
    if not _is_single_precision(x):
        return conv3d(x, weight, bias, stride, padding)
    return _Convolution.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, geometry
    )


def check_padding(padding: str) -> None:
    """Refuses an unknown kind of padding.

    Raises:
        InputError: If it is neither "symmetric" nor "same-tf".
    """
    if padding not in get_args(Padding):
        raise InputError(
            about="padding",
            expected=" or ".join(map(repr, get_args(Padding))),
            got=repr(padding),
        )


def pad_as_tf(
    x: Float[Tensor, "b c i j k"], stride: int
) -> Float[Tensor, "b c i2 j2 k2"]:
    """Returns the features with the zeros of TensorFlow's SAME for a 3^3 kernel.

    The result is to be convolved without padding. Of an odd number of zeros, the
    smaller half is before the features: at stride 2, a side of even length gets one
    zero at its end, a side of odd length one at both ends.
    """
    margins: list[int] = []
    for side in reversed(x.shape[2:]):  # `pad` starts at the last axis
        outputs = -(-side // stride)
        zeros = max((outputs - 1) * stride + _SIZE - side, 0)
        margins += [zeros // 2, zeros - zeros // 2]
    return pad(x, margins)


def _voxels_after(shape: torch.Size, size: int, geometry: Geometry) -> int:
    stride, padding = geometry
    i, j, k = ((n + 2 * padding - size) // stride + 1 for n in shape[2:])
    return i * j * k


def _is_single_precision(x: Tensor) -> bool:
    """Whether to call oneDNN explicitly; PyTorch itself chooses it for bfloat16."""
    is_half = x.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    return not is_half and torch.backends.mkldnn.is_available()


def _multiply_matrices(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Multiplies one row per voxel, the values under its kernel, by the weights."""
    rows = _Rows.apply(x, weight.shape[-1], geometry)  # type: ignore[no-untyped-call]
    return linear(rows, weight.flatten(1), bias).permute(0, 4, 1, 2, 3)


class _Rows(torch.autograd.Function):
    """The values (b, i, j, k, channel and tap) under the kernel at every voxel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, geometry: Geometry) -> Tensor:
        ctx.shape, ctx.size, ctx.geometry = x.shape, size, geometry
        windows = pad(x, [geometry.padding] * 6)
        for axis in (2, 3, 4):
            windows = windows.unfold(axis, size, geometry.stride)
        return windows.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        batch, channels, *sides = ctx.shape
        stride, padding = ctx.geometry
        padded_sides = [side + 2 * padding for side in sides]
        padded = gradients[0].new_zeros(batch, *padded_sides, channels)
        taps = gradients[0].unflatten(4, (channels, *(ctx.size,) * 3))
        reaches = [stride * n for n in taps.shape[1:4]]
        for tap in product(range(ctx.size), repeat=3):
            ends = (n + reach for n, reach in zip(tap, reaches, strict=True))
            under = [slice(n, end, stride) for n, end in zip(tap, ends, strict=True)]
            padded[:, *under] += taps[..., *tap]
        inside = [slice(padding, padding + side) for side in sides]
        return padded[:, *inside].permute(0, 4, 1, 2, 3), None, None


class _Convolution(torch.autograd.Function):
    """The convolution by minimal filtering where that pays, else by oneDNN.

    Its gradients are those of `gradients.py`.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        if geometry == (1, 1):
            winograd = winograd_once(x, weight, bias)
            if winograd is not None:
                return winograd(x)
        stride, padding = geometry
        return torch.mkldnn_convolution(
            x, weight, bias, [padding] * 3, [stride] * 3, [1] * 3, 1
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0]
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        arguments = (gradient, x, weight, ctx.geometry)
        return (
            gradient_of_features(*arguments) if wants_x else None,
            gradient_of_weights(*arguments) if wants_weight else None,
            gradient.sum((0, 2, 3, 4)) if wants_bias else None,
            None,
        )

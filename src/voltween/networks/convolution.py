"""A 3D convolution of padding 1, in the way that is fastest for its size on a CPU.

PyTorch alone chooses badly at both ends: small features of a single pair go to a slow
fallback, and several pairs on a grid of a few voxels to kernels that rearrange millions
of weights for a handful of voxels. The result is the same to rounding.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv3d, linear, pad

# Up to 5^3 voxels a product of matrices is faster, measured with 1 and 2 pairs.
_FEW_VOXELS = 125
# Where PyTorch gives a single pair to its fallback (use_mkldnn in its Convolution.cpp).
_FALLBACK_SIZE = 20480


def convolve(
    x: Float[Tensor, "b c i j k"],
    weight: Float[Tensor, "c2 c size size size"],
    bias: Float[Tensor, " c2"] | None = None,
    stride: int = 1,
) -> Float[Tensor, "b c2 i2 j2 k2"]:
    """Convolution with padding 1, channels last in memory."""
    if x.device.type != "cpu":
        return conv3d(x, weight, bias, stride, padding=1)
    if _voxels_after(x.shape, weight.shape[-1], stride) <= _FEW_VOXELS:
        return _as_matrices(x, weight, bias, stride)
    if _falls_back(x):
        return _OneDnnConvolution.apply(x, weight, bias, stride)
    return conv3d(x, weight, bias, stride, padding=1)


def _voxels_after(shape: torch.Size, size: int, stride: int) -> int:
    i, j, k = ((n + 2 - size) // stride + 1 for n in shape[2:])
    return i * j * k


def _falls_back(x: Tensor) -> bool:
    is_single = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    is_small = len(x) == 1 and x[0, :, :, :, 0].numel() <= _FALLBACK_SIZE
    return is_single and is_small and torch.backends.mkldnn.is_available()


def _as_matrices(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    """One row a voxel, with all that its kernel covers, times the weights."""
    size = weight.shape[-1]
    windows = pad(x, [1] * 6)
    for axis in (2, 3, 4):
        windows = windows.unfold(axis, size, stride)
    rows = windows.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4)
    return linear(rows, weight.flatten(1), bias).permute(0, 4, 1, 2, 3)


class _OneDnnConvolution(torch.autograd.Function):
    """The convolution by oneDNN, forward and backward, whatever the size."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.bias_sizes = stride, None if bias is None else list(bias.shape)
        return torch.mkldnn_convolution(
            x, weight, bias, [1] * 3, [stride] * 3, [1] * 3, 1
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        # A tensor in oneDNN's own layout is what makes PyTorch choose oneDNN.
        results = torch.ops.aten.convolution_backward(
            gradients[0].to_mkldnn(),
            x.to_mkldnn(),
            weight,
            ctx.bias_sizes,
            [ctx.stride] * 3,
            [1] * 3,
            [1] * 3,
            False,
            [0] * 3,
            1,
            ctx.needs_input_grad[:3],
        )
        return (*(_dense(result) for result in results), None)


def _dense(tensor: Tensor | None) -> Tensor | None:
    return tensor.to_dense() if tensor is not None and tensor.is_mkldnn else tensor

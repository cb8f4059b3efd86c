"""A 3D convolution by the fastest algorithm for its size on a CPU.

PyTorch chooses badly at both ends: it sends small features of a single pair to a slow
fallback, and several pairs on a grid of a few voxels to kernels that rearrange millions
of weights for a handful of voxels. Results are equal up to rounding.
"""

from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv3d, linear, pad

from voltween.errors import InputError
from voltween.ops import WinogradConvolution, winograd_convolution

# Up to 5^3 voxels, a matrix product is faster, measured with 1 and 2 pairs.
_FEW_VOXELS = 125
# Up to this size PyTorch uses its fallback for one pair (use_mkldnn, Convolution.cpp).
_FALLBACK_SIZE = 20480
# oneDNN is ten times too slow for the weights' gradient of 3 channels (AVX2).
_FEW_CHANNELS = 4
# Products per pair of channels from which transforming the weights anew pays, measured.
_FEWEST_PRODUCTS = 1 << 16
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
    if _voxels_after(x.shape, weight.shape[-1], stride, padding) <= _FEW_VOXELS:
        return _multiply_matrices(x, weight, bias, stride, padding)
    if not _is_single_precision(x):
        return conv3d(x, weight, bias, stride, padding)
    is_thin = len(weight) <= _FEW_CHANNELS and weight.shape[-1] == 3
    if (stride, padding) == (1, 1):
        winograd = _winograd(x, weight, bias)
        if winograd is not None or is_thin:
            return _FilteredConvolution.apply(  # type: ignore[no-untyped-call]
                x, weight, bias, winograd
            )
    if _is_small(x):
        return _OneDnnConvolution.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, (stride, padding)
        )
    return conv3d(x, weight, bias, stride, padding)


def _winograd(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: int = 1
) -> WinogradConvolution | None:
    """Minimal filtering if it saves more time than transforming the weights takes."""
    taps = weight[0, 0].numel()
    if len(x) * x[0, 0].numel() * taps < _FEWEST_PRODUCTS:
        return None
    return winograd_convolution(weight, bias, x.shape, padding)


def _is_small(x: Tensor) -> bool:
    """Whether PyTorch would use its fallback."""
    return len(x) == 1 and x[0, ..., 0].numel() <= _FALLBACK_SIZE


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


def _voxels_after(shape: torch.Size, size: int, stride: int, padding: int) -> int:
    i, j, k = ((n + 2 * padding - size) // stride + 1 for n in shape[2:])
    return i * j * k


def _is_single_precision(x: Tensor) -> bool:
    """Whether to call oneDNN explicitly; PyTorch itself chooses it for bfloat16."""
    is_half = x.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    return not is_half and torch.backends.mkldnn.is_available()


def _multiply_matrices(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Tensor:
    """Multiplies one row per voxel, the values under its kernel, by the weights."""
    size = weight.shape[-1]
    windows = pad(x, [padding] * 6)
    for axis in (2, 3, 4):
        windows = windows.unfold(axis, size, stride)
    rows = windows.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(4)
    return linear(rows, weight.flatten(1), bias).permute(0, 4, 1, 2, 3)


class _OneDnnConvolution(torch.autograd.Function):
    """The convolution by oneDNN, forward and backward, for every size."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: tuple[int, int],
    ) -> Tensor:
        stride, padding = geometry
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        ctx.bias_sizes = None if bias is None else list(bias.shape)
        return torch.mkldnn_convolution(
            x, weight, bias, [padding] * 3, [stride] * 3, [1] * 3, 1
        )

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        # PyTorch chooses oneDNN if the tensors are in oneDNN's own layout.
        results = torch.ops.aten.convolution_backward(
            gradients[0].to_mkldnn(),
            x.to_mkldnn(),
            weight,
            ctx.bias_sizes,
            [ctx.stride] * 3,
            [ctx.padding] * 3,
            [1] * 3,
            False,
            [0] * 3,
            1,
            ctx.needs_input_grad[:3],
        )
        return (*(_to_dense(result) for result in results), None)


class _FilteredConvolution(torch.autograd.Function):
    """A convolution of stride 1 and padding 1 that PyTorch alone would do slowly.

    The result and the gradient of the features are by minimal filtering where that
    pays, the gradient of the weights of few channels by a matrix product.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        winograd: WinogradConvolution | None,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        if winograd is not None:
            return winograd(x)
        return torch.mkldnn_convolution(x, weight, bias, [1] * 3, [1] * 3, [1] * 3, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0]
        wants_x, wants_weight, wants_bias, _ = ctx.needs_input_grad
        x_gradient, weight_gradient = None, None
        if wants_x:
            x_gradient = _feature_gradient(gradient, x, weight)
        if wants_weight:
            is_thin = len(weight) <= _FEW_CHANNELS and weight.shape[-1] == 3
            compute = _thin_weight_gradient if is_thin else _weight_gradient
            weight_gradient = compute(gradient, x, weight)
        bias_gradient = gradient.sum((0, 2, 3, 4)) if wants_bias else None
        return x_gradient, weight_gradient, bias_gradient, None


def _feature_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    transposed = weight.flip(2, 3, 4).transpose(0, 1)
    padding = weight.shape[-1] - 2
    winograd = _winograd(gradient, transposed, None, padding)
    if winograd is not None:
        return winograd(gradient)
    return _gradient_by_onednn(gradient, x, weight, 0)


def _weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    return _gradient_by_onednn(gradient, x, weight, 1)


def _gradient_by_onednn(
    gradient: Tensor, x: Tensor, weight: Tensor, number: int
) -> Tensor:
    """The gradient of the features (number 0) or of the weights (1)."""
    if _is_small(x):
        # PyTorch chooses oneDNN if the tensors are in oneDNN's own layout.
        gradient, x = gradient.to_mkldnn(), x.to_mkldnn()
    results = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        *([1] * 3 for _ in range(3)),
        False,
        [0] * 3,
        1,
        [number == 0, number == 1, False],
    )
    result: Tensor = results[number]
    return result.to_dense() if result.is_mkldnn else result


def _thin_weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """The gradient of the weights of a 3^3 convolution to few channels."""
    # A voxel of x contributes by tap t to the gradient t - 1 voxels before it.
    windows = pad(gradient, [1] * 6)
    for axis in (2, 3, 4):
        windows = windows.unfold(axis, 3, 1)
    rows = windows.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(0, 3).flatten(1)
    sums = rows.T @ x.permute(0, 2, 3, 4, 1).flatten(0, 3)
    return sums.T.unflatten(1, (-1, 3, 3, 3)).flip(2, 3, 4).transpose(0, 1)


def _to_dense(tensor: Tensor | None) -> Tensor | None:
    return tensor.to_dense() if tensor is not None and tensor.is_mkldnn else tensor

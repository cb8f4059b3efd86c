"""Gradients of a convolution on a CPU, each by the fastest algorithm for its size."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from voltween.networks.phases import phase_weight
from voltween.ops import weight_gradient, winograd_once

# Up to this size PyTorch uses its fallback for one pair (use_mkldnn, Convolution.cpp).
_FALLBACK_SIZE = 20480
# oneDNN is ten times too slow for the weights' gradient of 3 channels (AVX2).
_FEW_CHANNELS = 4
_MOST_INTERLEAVED = 3  # channels, of phases that are placed at once


class Geometry(NamedTuple):
    """The steps and the padding of a kernel, the same along every axis."""

    stride: int
    padding: int
    """Zeros around the features, in voxels."""


def _uses_fallback(x: Float[Tensor, "b c i j k"]) -> bool:
    """Whether PyTorch would use its slow fallback for a convolution of the features."""
    return len(x) == 1 and x[0, ..., 0].numel() <= _FALLBACK_SIZE


def gradient_of_features(
    gradient: Float[Tensor, "b c2 i2 j2 k2"],
    x: Float[Tensor, "b c i j k"],
    weight: Float[Tensor, "c2 c size size size"],
    geometry: Geometry,
) -> Float[Tensor, "b c i j k"]:
    """Returns the gradient of the convolved features `x`."""
    result = None
    if geometry == (1, 1):
        result = _filtered_gradient(gradient, weight)
    elif _is_halving_of_few(x, weight, geometry):
        result = _interleaved_gradient(gradient, weight)
    if result is None:
        return _gradient_by_onednn(gradient, x, weight, geometry, of_features=True)
    return result


def gradient_of_weights(
    gradient: Float[Tensor, "b c2 i2 j2 k2"],
    x: Float[Tensor, "b c i j k"],
    weight: Float[Tensor, "c2 c size size size"],
    geometry: Geometry,
) -> Float[Tensor, "c2 c size size size"]:
    """Returns the gradient of the weights."""
    result = weight_gradient(x, gradient, weight.shape[-1], *geometry)
    if result is not None:
        return result
    if _is_thin(weight) and geometry == (1, 1):
        return _thin_weight_gradient(gradient, x)
    return _gradient_by_onednn(gradient, x, weight, geometry, of_features=False)


def _is_thin(weight: Float[Tensor, "c2 c size size size"]) -> bool:
    """Whether a 3^3 convolution has few results."""
    return len(weight) <= _FEW_CHANNELS and weight.shape[-1] == 3


def _filtered_gradient(gradient: Tensor, weight: Tensor) -> Tensor | None:
    """The gradient of the features, a convolution itself, by minimal filtering."""
    transposed = weight.flip(2, 3, 4).transpose(0, 1)
    convolve = winograd_once(gradient, transposed, None, weight.shape[-1] - 2)
    return None if convolve is None else convolve(gradient)


def _is_halving_of_few(x: Tensor, weight: Tensor, geometry: Geometry) -> bool:
    """Whether the features are few channels that a 3^3 convolution halves."""
    is_even = all(n % 2 == 0 for n in x.shape[2:])
    is_halving = geometry == (2, 1) and weight.shape[-1] == 3
    return is_even and is_halving and x.shape[1] <= _MOST_INTERLEAVED


def _interleaved_gradient(gradient: Tensor, weight: Tensor) -> Tensor | None:
    """The same gradient of a halving: a transposed convolution, as an upsampling is."""
    # A kernel of 4^3 whose last taps are 0 makes it one.
    phases = phase_weight(pad(weight, [0, 1] * 3))
    convolve = winograd_once(gradient, phases, None)
    return None if convolve is None else convolve.interleaved(gradient)


def _gradient_by_onednn(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    geometry: Geometry,
    *,
    of_features: bool,
) -> Tensor:
    if _uses_fallback(x):
        # PyTorch chooses oneDNN if the tensors are in oneDNN's own layout.
        gradient, x = gradient.to_mkldnn(), x.to_mkldnn()
    results = torch.ops.aten.convolution_backward(
        gradient,
        x,
        weight,
        None,
        [geometry.stride] * 3,
        [geometry.padding] * 3,
        [1] * 3,
        False,
        [0] * 3,
        1,
        [of_features, not of_features, False],
    )
    result: Tensor = results[0 if of_features else 1]
    return result.to_dense() if result.is_mkldnn else result


def _thin_weight_gradient(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient of the weights of a 3^3 convolution to few channels."""
    # A voxel of x contributes by tap t to the gradient t - 1 voxels before it.
    windows = pad(gradient, [1] * 6)
    for axis in (2, 3, 4):
        windows = windows.unfold(axis, 3, 1)
    rows = windows.permute(0, 2, 3, 4, 1, 5, 6, 7).flatten(0, 3).flatten(1)
    sums = rows.T @ x.permute(0, 2, 3, 4, 1).flatten(0, 3)
    return sums.T.unflatten(1, (-1, 3, 3, 3)).flip(2, 3, 4).transpose(0, 1)

"""Phases of an upsampling put in place: as features to join, or as a flow.

The phases are the eight combinations of even and odd voxels along each axis, stacked
as channels (phase, channel) on a grid of n / 2 + 1 voxels per axis.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import leaky_relu

from voltween.ops.arguments import (
    check_flow,
    check_gradient,
    check_shape,
    check_volume,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation, Saved

_LAST = torch.channels_last_3d


def join(
    skip: Float[Tensor, "b c i j k"],
    features: Float[Tensor, "b phases i1 j1 k1"],
    prediction: Float[Tensor, "b 24 i1 j1 k1"],
    leak: float,
) -> Float[Tensor, "b c2 i j k"]:
    """Returns [skip, LeakyReLU(features), prediction] on the grid of `skip`.

    Features and prediction are given as phases. The result has the dtype of `skip` and
    is channels last in memory.
    """
    return JOIN(skip, features.to(skip.dtype), prediction.to(skip.dtype), leak)


def interleave(
    phases: Float[Tensor, "b 24 i1 j1 k1"], scale: float
) -> Float[Tensor, "b 3 i j k"]:
    """Returns the flow of the phases, times `scale`, in single precision or better."""
    phases = phases if phases.dtype == torch.float64 else phases.float()
    return INTERLEAVE(phases, scale)


# Sizes are symbols when PyTorch traces: the functions that allocate take any.


def _empty(like: Tensor, *shape: Any) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=_LAST)


def _empty_phases(fine: Tensor, channels: Any) -> Tensor:
    shape = [n // 2 + 1 for n in fine.shape[2:]]
    return _empty(fine, len(fine), 8 * channels, *shape)


def _lay_out(tensor: Tensor) -> Tensor:
    """Returns the tensor channels last; bfloat16 as its bits."""
    array = tensor.detach().permute(0, 2, 3, 4, 1).contiguous()
    return array.view(torch.int16) if array.dtype == torch.bfloat16 else array


def _shuffle(phases: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns the phases in their places on a grid of `shape`, by stock operations."""
    fine = phases.new_empty(len(phases), phases.shape[1] // 8, *shape)
    for number, phase in enumerate(phases.chunk(8, dim=1)):
        i, j, k = number >> 2 & 1, number >> 1 & 1, number & 1
        inside = [slice(p, p + n // 2) for p, n in zip((i, j, k), shape, strict=True)]
        fine[:, :, i::2, j::2, k::2] = phase[:, :, *inside]
    return fine


def _allocate_joined(
    skip: Tensor, features: Tensor, prediction: Tensor, leak: float
) -> Tensor:
    channels = skip.shape[1] + features.shape[1] // 8 + 3
    return _empty(skip, len(skip), channels, *skip.shape[2:])


def _join(skip: Tensor, features: Tensor, prediction: Tensor, leak: float) -> Tensor:
    check_volume("skip", skip)
    phases = (len(skip), *(n // 2 + 1 for n in skip.shape[2:]))
    check_volume("features", features)
    if features.shape[1] % 8:
        raise ValueError(
            "features must have shape (B, 8 C, I, J, K), eight phases of every "
            f"channel, got {tuple(features.shape)}"
        )
    check_volume("prediction", prediction)
    check_shape("prediction", prediction, *_phases_shape(prediction))
    for name, tensor in (("features", features), ("prediction", prediction)):
        if (len(tensor), *tensor.shape[2:]) != phases or tensor.dtype != skip.dtype:
            raise ValueError(
                f"{name} must have {phases[0]} items of {phases[1:]} voxels and "
                f"{skip.dtype}, got {tuple(tensor.shape)} and {tensor.dtype}"
            )
    joined = _allocate_joined(skip, features, prediction, leak)
    native.join(
        _lay_out(skip),
        _lay_out(features),
        _lay_out(prediction),
        leak,
        _lay_out(joined),  # a view, for it is channels last already
        torch.get_num_threads(),
    )
    return joined


def _allocate_join_gradients(
    joined: Tensor, gradient: Tensor, skip_channels: Any, leak: float
) -> tuple[Tensor, Tensor, Tensor]:
    features = joined.shape[1] - skip_channels - 3
    return (
        _empty(joined, len(joined), skip_channels, *joined.shape[2:]),
        _empty_phases(joined, features),
        _empty_phases(joined, 3),
    )


def _join_backward(
    joined: Tensor, gradient: Tensor, skip_channels: int, leak: float
) -> tuple[Tensor, Tensor, Tensor]:
    check_volume("joined", joined)
    check_gradient(gradient, *joined.shape)
    if not 0 <= skip_channels <= joined.shape[1] - 3:
        raise ValueError(
            f"skip_channels must be within 0 and {joined.shape[1] - 3}, the channels "
            f"of joined but 3, got {skip_channels}"
        )
    gradients = _allocate_join_gradients(joined, gradient, skip_channels, leak)
    native.join_backward(
        _lay_out(joined),
        _lay_out(gradient),
        leak,
        _lay_out(gradients[0]),
        _lay_out(gradients[1]),
        _lay_out(gradients[2]),
        torch.get_num_threads(),
    )
    return gradients


def _save_joined(inputs: tuple[Any, ...], output: Tensor) -> Saved:
    # The next layer keeps the joined features in any case: nothing else is stored.
    skip, _, _, leak = inputs
    return (output,), (skip.shape[1], leak)


def _stock_join(
    skip: Tensor, features: Tensor, prediction: Tensor, leak: float
) -> Tensor:
    shape = tuple(skip.shape[2:])
    upsampled = leaky_relu(_shuffle(features, shape), leak)
    return torch.cat([skip, upsampled, _shuffle(prediction, shape)], dim=1)


JOIN = NativeOperation(
    "join",
    forward=Kernel(_join, _allocate_joined),
    backward=Kernel(_join_backward, _allocate_join_gradients),
    stock=_stock_join,
    saves=_save_joined,
)
"""(skip, features, prediction, leak): the three stacked on the finer grid."""


def _allocate_flow(phases: Tensor, scale: float) -> Tensor:
    return phases.new_empty(len(phases), 3, *(2 * (n - 1) for n in phases.shape[2:]))


def _phases_shape(phases: Tensor) -> tuple[int, ...]:
    """The shape that the phases of a flow must have on a grid of these voxels."""
    return (len(phases), 24, *phases.shape[2:])


def _interleave(phases: Tensor, scale: float) -> Tensor:
    check_volume("phases", phases)
    check_shape("phases", phases, *_phases_shape(phases))
    flow = _allocate_flow(phases, scale)
    native.interleave(_lay_out(phases), scale, flow, torch.get_num_threads())
    return flow


def _allocate_phases(gradient: Tensor, scale: float) -> Tensor:
    return _empty_phases(gradient, 3)


def _interleave_backward(gradient: Tensor, scale: float) -> Tensor:
    check_flow("gradient", gradient)
    phases = _allocate_phases(gradient, scale)
    native.interleave_backward(
        gradient.detach().contiguous(), scale, _lay_out(phases), torch.get_num_threads()
    )
    return phases


def _save_scale(inputs: tuple[Any, ...], output: Tensor) -> Saved:
    return (), (inputs[1],)


def _stock_interleave(phases: Tensor, scale: float) -> Tensor:
    return scale * _shuffle(phases, tuple(2 * (n - 1) for n in phases.shape[2:]))


INTERLEAVE = NativeOperation(
    "interleave",
    forward=Kernel(_interleave, _allocate_flow),
    backward=Kernel(_interleave_backward, _allocate_phases),
    stock=_stock_interleave,
    saves=_save_scale,
)
"""(phases, scale): the flow on the finer grid, times `scale`."""

"""The native operations of upsampling: join and interleave, with their gradients."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.library import register_autograd, register_fake
from torch.nn.functional import leaky_relu

from voltween.ops import _native
from voltween.ops.native import is_native, operation

_LAST = torch.channels_last_3d


def join(
    skip: Float[Tensor, "b c i j k"],
    features: Float[Tensor, "b phases i1 j1 k1"],
    prediction: Float[Tensor, "b 24 i1 j1 k1"],
    leak: float,
) -> Float[Tensor, "b c2 i j k"]:
    """[skip, leaky features, prediction] on the skip's grid, from their phases."""
    if is_native(skip, features, prediction):
        return _join(skip, features.to(skip.dtype), prediction.to(skip.dtype), leak)
    upsampled = leaky_relu(_shuffled(features, skip), leak)
    return torch.cat([skip, upsampled, _shuffled(prediction, skip)], dim=1)


def interleave(
    phases: Float[Tensor, "b 24 i1 j1 k1"], scale: float
) -> Float[Tensor, "b 3 i j k"]:
    """Flow from its phases, times `scale`, in single precision or better."""
    phases = phases if phases.dtype == torch.float64 else phases.float()
    if is_native(phases):
        return _interleave(phases, scale)
    shape = [2 * (n - 1) for n in phases.shape[2:]]
    return scale * _shuffled(phases, phases.new_empty(1, 1, *shape))


def _shuffled(phases: Tensor, like: Tensor) -> Tensor:
    """Phases put where they belong, by stock operations, on the grid of `like`."""
    shape = like.shape[2:]
    fine = phases.new_empty(len(phases), phases.shape[1] // 8, *shape)
    for number, phase in enumerate(phases.chunk(8, dim=1)):
        i, j, k = number >> 2 & 1, number >> 1 & 1, number & 1
        inside = [slice(p, p + n // 2) for p, n in zip((i, j, k), shape, strict=True)]
        fine[:, :, i::2, j::2, k::2] = phase[:, :, *inside]
    return fine


@operation("join")
def _join(skip: Tensor, features: Tensor, prediction: Tensor, leak: float) -> Tensor:
    joined = _empty_joined(skip, features)
    phases = (len(skip), *(n // 2 + 1 for n in skip.shape[2:]))
    for name, tensor in (("features", features), ("prediction", prediction)):
        if (len(tensor), *tensor.shape[2:]) != phases or tensor.dtype != skip.dtype:
            raise ValueError(
                f"{name} must have {phases[0]} items of {phases[1:]} voxels and "
                f"{skip.dtype}, got {tuple(tensor.shape)} and {tensor.dtype}"
            )
    _native.join(
        _raw(skip),
        _raw(features),
        _raw(prediction),
        leak,
        _raw(joined),
        torch.get_num_threads(),
    )
    return joined


@operation("join_backward")
def _join_backward(
    joined: Tensor, gradient: Tensor, skip_channels: int, leak: float
) -> tuple[Tensor, Tensor, Tensor]:
    gradients = _empty_gradients(joined, skip_channels)
    _native.join_backward(
        _raw(joined),
        _raw(gradient),
        leak,
        _raw(gradients[0]),
        _raw(gradients[1]),
        _raw(gradients[2]),
        torch.get_num_threads(),
    )
    return gradients


@operation("interleave")
def _interleave(phases: Tensor, scale: float) -> Tensor:
    flow = _empty_flow(phases)
    _native.interleave(_raw(phases), scale, flow, torch.get_num_threads())
    return flow


@operation("interleave_backward")
def _interleave_backward(gradient: Tensor, scale: float) -> Tensor:
    phases = _empty_phases(gradient, 3)
    _native.interleave_backward(
        gradient.detach().contiguous(), scale, _raw(phases), torch.get_num_threads()
    )
    return phases


def _raw(tensor: Tensor) -> Tensor:
    """The tensor as the kernels read it: channels last, bfloat16 as its bits."""
    array = tensor.detach().permute(0, 2, 3, 4, 1).contiguous()
    return array.view(torch.int16) if array.dtype == torch.bfloat16 else array


def _empty(like: Tensor, *shape: Any) -> Tensor:  # sizes are symbols when traced
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=_LAST)


@register_fake("voltween::join")
def _fake_join(
    skip: Tensor, features: Tensor, prediction: Tensor, leak: float
) -> Tensor:
    return _empty_joined(skip, features)


def _empty_joined(skip: Tensor, features: Tensor) -> Tensor:
    channels = skip.shape[1] + features.shape[1] // 8 + 3
    return _empty(skip, len(skip), channels, *skip.shape[2:])


@register_fake("voltween::join_backward")
def _fake_join_backward(
    joined: Tensor, gradient: Tensor, skip_channels: Any, leak: float
) -> tuple[Tensor, Tensor, Tensor]:
    return _empty_gradients(joined, skip_channels)


def _empty_gradients(
    joined: Tensor, skip_channels: Any
) -> tuple[Tensor, Tensor, Tensor]:
    features = joined.shape[1] - skip_channels - 3
    return (
        _empty(joined, len(joined), skip_channels, *joined.shape[2:]),
        _empty_phases(joined, features),
        _empty_phases(joined, 3),
    )


def _empty_phases(fine: Tensor, channels: Any) -> Tensor:
    shape = [n // 2 + 1 for n in fine.shape[2:]]
    return _empty(fine, len(fine), 8 * channels, *shape)


@register_fake("voltween::interleave")
def _empty_flow(phases: Tensor, scale: float = 1.0) -> Tensor:
    return phases.new_empty(len(phases), 3, *(2 * (n - 1) for n in phases.shape[2:]))


@register_fake("voltween::interleave_backward")
def _fake_interleave_backward(gradient: Tensor, scale: float) -> Tensor:
    return _empty_phases(gradient, 3)


def _save_joined(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    # The next layer keeps the joined features in any case: nothing else is stored.
    ctx.save_for_backward(output)
    ctx.skip_channels, ctx.leak = inputs[0].shape[1], inputs[3]


def _join_gradient(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    (joined,) = ctx.saved_tensors
    return (*_join_backward(joined, gradient, ctx.skip_channels, ctx.leak), None)


def _save_scale(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.scale = inputs[1]


def _interleave_gradient(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    return _interleave_backward(gradient, ctx.scale), None


register_autograd("voltween::join", _join_gradient, setup_context=_save_joined)
register_autograd(
    "voltween::interleave", _interleave_gradient, setup_context=_save_scale
)

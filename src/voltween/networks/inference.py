"""Fast inference with a trained network on a CPU.

Weights are stored once in the layout that the processor's convolutions read, oneDNN's
or Winograd's minimal filtering's; biases and LeakyReLU are part of the convolution.
Where the processor multiplies bfloat16 matrices, each layer but the last of a dense
subnetwork runs in bfloat16 if that is faster, as its first features show; flows, warps
and compositions stay in single precision.
The network itself and its checkpoints do not change.
"""

import copy
from collections.abc import Callable
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv3d, leaky_relu

from voltween.networks.blocks import LEAK, Convolution, LinearConvolution
from voltween.networks.cascade import Tweening, VolumeTweeningNetwork
from voltween.networks.convolution import pad_as_tf
from voltween.networks.dense import DenseSubnetwork
from voltween.networks.faster_layer import FasterLayer
from voltween.networks.kinds import Network
from voltween.networks.upsampling import Upsampling
from voltween.ops import (
    WinogradConvolution,
    interleave,
    join,
    winograd_convolution,
)

Precision = Literal["fp32", "bf16", "auto"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Registrar = Callable[[Float[Tensor, "b 1 i j k"], Float[Tensor, "b 1 i j k"]], Tweening]


def optimize(network: Network, precision: Precision = "auto") -> Registrar:
    """Returns an inference-only callable (fixed, moving) -> Tweening of the network.

    "fp32" differs from the network by rounding only. "bf16" computes features in
    bfloat16 on any processor; "auto" does so layer by layer where that is measured to
    be faster, on CPUs that multiply bfloat16 matrices. Networks on other devices are
    not rearranged, nor is VoxelMorph.

    Raises:
        ValueError: If `precision` is none of these.
    """
    check_precision(precision)
    device = next(network.parameters()).device.type
    is_packed = device == "cpu" and isinstance(network, VolumeTweeningNetwork)
    if precision == "auto" and not (device == "cpu" and has_fast_bf16()):
        precision = "fp32"
    with torch.no_grad():
        fast = pack(network, precision) if is_packed else network
    is_cast = precision != "fp32" and not is_packed
    casts = torch.autocast(device, torch.bfloat16, enabled=is_cast)

    def run(
        fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        with torch.inference_mode(), casts:
            return fast(fixed, moving)

    return run


def check_precision(precision: str) -> None:
    """Refuses an unknown precision.

    Raises:
        ValueError: If it is not "fp32", "bf16" or "auto".
    """
    if precision not in get_args(Precision):
        raise ValueError(
            f"precision must be 'fp32', 'bf16' or 'auto', got {precision!r}"
        )


def has_fast_bf16() -> bool:
    """Whether this processor multiplies bfloat16 matrices (AMX or AVX512-BF16)."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


class PackedConvolution(nn.Module):
    """A convolution with its weight in the processor's layout; includes LeakyReLU."""

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        is_padded_as_tf: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.stride, self.dtype = stride, dtype
        self.is_padded_as_tf = is_padded_as_tf
        self.leak: float | None = None
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.weight = weight.detach().to(dtype)
        self._winograd: WinogradConvolution | None = None
        self._unpacked: Tensor | None = self.weight

    def forward(self, x: Float[Tensor, "b c i j k"]) -> Float[Tensor, "b c2 i2 j2 k2"]:
        """Returns the features after the convolution, channels last in memory."""
        x = x.to(self.dtype)
        if self.is_padded_as_tf:
            x = pad_as_tf(x, self.stride)
        if (winograd := self._packed_for(x)) is not None:
            return winograd(x, 1.0 if self.leak is None else self.leak)
        if self.dtype == torch.bfloat16 and x[0, 0].numel() == 1:
            return self._of_one_voxel(x)
        if not self.weight.is_mkldnn:
            padding, stride, _ = self._geometry
            x = conv3d(x, self.weight, self.bias, stride, padding)
            return x if self.leak is None else leaky_relu(x, self.leak, inplace=True)
        activation = ("none", []) if self.leak is None else ("leaky_relu", [self.leak])
        return torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self._geometry, 1, *activation, ""
        )

    def _of_one_voxel(self, x: Tensor) -> Tensor:
        """The result for one voxel, in single precision, rounded to the layer's.

        With AMX, oneDNN 3.12 reads memory that nobody wrote for one voxel of up to
        three channels in bfloat16: its results are anything.
        """
        weight = self.weight.to_dense() if self.weight.is_mkldnn else self.weight
        bias = None if self.bias is None else self.bias.float()
        padding, stride, _ = self._geometry
        x = conv3d(x.float(), weight.float(), bias, stride, padding)
        return (x if self.leak is None else leaky_relu(x, self.leak)).to(self.dtype)

    def _packed_for(self, x: Tensor) -> WinogradConvolution | None:
        """Packs the weight at the first call; returns the minimal filter, if chosen."""
        if (unpacked := self._unpacked) is not None:
            self._pack(unpacked, x.shape)
        return self._winograd

    def _pack(self, weight: Tensor, shape: torch.Size) -> None:
        # The best layout depends on the size of the features, so packing waits for the
        # first ones. Later features of another size still give right results.
        self._unpacked = None
        if self.stride == 1:
            self._winograd = winograd_convolution(weight, self.bias, shape)
        if self._winograd is not None or not _can_pack(self.dtype):
            return
        self.weight = torch._C._nn.mkldnn_reorder_conv3d_weight(  # type: ignore[call-arg]
            weight.contiguous().to_mkldnn(), *self._geometry, 1, list(shape)
        )

    @property
    def _geometry(self) -> tuple[list[int], list[int], list[int]]:
        """Padding, stride and dilation along each axis."""
        padding = 0 if self.is_padded_as_tf else 1
        return [padding] * 3, [self.stride] * 3, [1] * 3


class PackedUpsampling(PackedConvolution):
    """An upsampling; with minimal filtering, its phases never reach memory."""

    def join(
        self,
        coarse: Float[Tensor, "b c i1 j1 k1"],
        skip: Float[Tensor, "b c2 i j k"],
        prediction: Float[Tensor, "b 24 i2 j2 k2"],
        leak: float,
    ) -> Float[Tensor, "b c3 i j k"]:
        """Returns [skip, LeakyReLU(upsampled features), prediction]."""
        if (winograd := self._packed_for(coarse)) is not None:
            skip, prediction = skip.to(self.dtype), prediction.to(self.dtype)
            return winograd.join(coarse.to(self.dtype), skip, prediction, leak)
        return join(skip, self(coarse), prediction, leak)

    def flow(
        self, coarse: Float[Tensor, "b c i1 j1 k1"], scale: float
    ) -> Float[Tensor, "b 3 i j k"]:
        """Returns the upsampled flow, times `scale`."""
        if (winograd := self._packed_for(coarse)) is not None:
            return winograd.flow(coarse, scale)
        return interleave(self(coarse), scale)


def pack(module: nn.Module, precision: Precision = "fp32") -> Any:
    """Returns a copy of the module with its convolutions packed."""
    if isinstance(module, Convolution):
        result = pack(module[0], precision)
        result.leak = LEAK
        return result
    if isinstance(module, LinearConvolution | Upsampling):
        if precision == "auto":
            forms = {name: _packed(module, dtype) for name, dtype in _DTYPES.items()}
            return FasterLayer(forms)
        return _packed(module, _DTYPES[precision])
    result = copy.copy(module)
    result._modules = {
        name: None if child is None else pack(child, precision)
        for name, child in module._modules.items()
    }
    if isinstance(module, DenseSubnetwork):  # flows stay in single precision
        result.flow = pack(module.flow)
    return result


def _packed(
    layer: LinearConvolution | Upsampling, dtype: torch.dtype
) -> PackedConvolution:
    if isinstance(layer, Upsampling):
        return PackedUpsampling(layer.weight, None, dtype=dtype)
    return PackedConvolution(
        layer.weight,
        layer.bias,
        stride=layer.stride[0],
        is_padded_as_tf=layer.is_padded_as_tf,
        dtype=dtype,
    )


def _can_pack(dtype: torch.dtype) -> bool:
    # The function is private to PyTorch, used by its compiler: it may disappear.
    has_function = hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    is_fast = dtype == torch.float32 or has_fast_bf16()
    return torch.backends.mkldnn.is_available() and has_function and is_fast

"""Layers that the subnetworks share (paper IV-B, figures 4 and 5)."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from voltween.networks.convolution import Padding, convolve, pad_as_tf
from voltween.networks.upsampling import Upsampling

LEAK = 0.1


class LinearConvolution(nn.Conv3d):
    """3^3 convolution with bias; stride 2 halves the grid, with the padding given."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__(inputs, outputs, kernel_size=3, stride=stride, padding=1)
        # At stride 1, both kinds of padding are one voxel on both sides.
        self.is_padded_as_tf = stride > 1 and padding == "same-tf"

    def forward(self, x: Float[Tensor, "b c i j k"]) -> Float[Tensor, "b c2 i2 j2 k2"]:
        """Returns the features after the convolution."""
        if self.is_padded_as_tf:
            x = pad_as_tf(x, self.stride[0])
        padding = 0 if self.is_padded_as_tf else 1
        return convolve(x, self.weight, self.bias, self.stride[0], padding=padding)


class Convolution(nn.Sequential):
    """3^3 convolution with bias, then LeakyReLU 0.1; stride 2 halves the grid."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int = 1,
        padding: Padding = "symmetric",
    ) -> None:
        layer = LinearConvolution(inputs, outputs, stride, padding)
        initialize(layer)
        super().__init__(layer, nn.LeakyReLU(LEAK, inplace=True))


class Encoder(nn.Module):
    """Strided convolutions from the image pair down to the smallest grid (figure 4).

    The first halving gives `channels` channels, each further one doubles them. From the
    third halving on, a second convolution (conv3_1, conv4_1, ...) follows.
    """

    def __init__(
        self, channels: int, halvings: int, padding: Padding = "symmetric"
    ) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        inputs = 2
        for level in range(1, halvings + 1):
            outputs = level_channels(channels, level)
            layers: list[nn.Module] = [Convolution(inputs, outputs, 2, padding)]
            if level >= 3:
                layers.append(Convolution(outputs, outputs))
            self.levels.append(nn.Sequential(*layers))
            inputs = outputs

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> list[Tensor]:
        """Returns the features after each halving, finest first."""
        # Channels last in memory, which is fastest for convolutions on a CPU.
        pair = torch.stack([fixed[:, 0], moving[:, 0]], dim=-1)
        features = [pair.permute(0, 4, 1, 2, 3)]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[1:]


def run_subnetwork(
    subnetwork: nn.Module, *images: Float[Tensor, "b c i j k"], is_recomputed: bool
) -> Any:
    """Returns the output of the subnetwork for the images.

    If `is_recomputed`, the features are not kept for the gradients but recomputed.
    """
    if is_recomputed and torch.is_grad_enabled():
        return checkpoint(subnetwork, *images, use_reentrant=False)
    return subnetwork(*images)


def without_autocast(features: Tensor) -> torch.autocast:
    """Returns a context in which operations keep the precision of their inputs."""
    return torch.autocast(features.device.type, enabled=False)


def nearest_multiples(shape: tuple[int, ...], multiple: int) -> tuple[int, ...]:
    """The nearest shape whose sides are positive multiples of a number."""
    return tuple(max(1, round(side / multiple)) * multiple for side in shape)


def level_channels(channels: int, level: int) -> int:
    """Number of channels of the features after `level` halvings."""
    return channels * 2 ** (level - 1)


def initialize(layer: nn.Conv3d | Upsampling) -> None:
    """Draws uniform weights within sqrt(3 / fan); biases are 0 (authors' code)."""
    outputs, inputs = layer.weight.shape[:2]
    # The fan of a transposed convolution is that of its outputs: eight weights each.
    is_transposed = isinstance(layer, Upsampling)
    fan = 8 * outputs if is_transposed else 27 * inputs
    bound = math.sqrt(3 / fan)
    nn.init.uniform_(layer.weight, -bound, bound)
    if isinstance(layer, nn.Conv3d) and layer.bias is not None:
        nn.init.zeros_(layer.bias)

"""Layers that affine and dense subnetworks share (paper IV-B, figures 4 and 5)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

LEAK = 0.1


class Convolution(nn.Sequential):
    """3^3 convolution with bias, then LeakyReLU 0.1; stride 2 halves the grid."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        layer = nn.Conv3d(inputs, outputs, kernel_size=3, stride=stride, padding=1)
        initialize(layer)
        super().__init__(layer, nn.LeakyReLU(LEAK))


class Encoder(nn.Module):
    """Strided convolutions from the image pair down to the smallest grid (figure 4).

    Channels double at each halving, from `channels`; from the third halving on a
    second convolution (conv3_1, conv4_1, ...) follows the strided one.
    """

    def __init__(self, channels: int, halvings: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        inputs = 2
        for level in range(1, halvings + 1):
            outputs = level_channels(channels, level)
            layers: list[nn.Module] = [Convolution(inputs, outputs, stride=2)]
            if level >= 3:
                layers.append(Convolution(outputs, outputs))
            self.levels.append(nn.Sequential(*layers))
            inputs = outputs

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> list[Tensor]:
        """Features after each halving, finest first."""
        features = [torch.cat([fixed, moving], dim=1)]
        for level in self.levels:
            features.append(level(features[-1]))
        return features[1:]


def level_channels(channels: int, level: int) -> int:
    """Channels of the features after `level` halvings."""
    return channels * 2 ** (level - 1)


def upsampling(inputs: int, outputs: int) -> nn.ConvTranspose3d:
    """Transposed 4^3 convolution of stride 2 without bias: doubles the grid."""
    layer = nn.ConvTranspose3d(
        inputs, outputs, kernel_size=4, stride=2, padding=1, bias=False
    )
    initialize(layer)
    return layer


def initialize(layer: nn.Conv3d | nn.ConvTranspose3d) -> None:
    """Uniform weights of bound sqrt(3 / fan), biases 0, as in the authors' code."""
    kernel_voxels = math.prod(layer.kernel_size)
    is_transposed = isinstance(layer, nn.ConvTranspose3d)
    width = layer.out_channels if is_transposed else layer.in_channels
    bound = math.sqrt(3 / (kernel_voxels * width))
    nn.init.uniform_(layer.weight, -bound, bound)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)

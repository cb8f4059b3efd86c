"""Convolutions with fewer products, by Winograd's minimal filtering.

A tile of m^3 voxels of the result of a kernel of r^3 takes (m + r - 1)^3 products per
pair of channels instead of (m r)^3: F(3, 2) needs 64 instead of 216, F(2, 2) 27 instead
of 64, F(2, 3) 64 instead of 216. The transforms of features and results consist of
additions, so results differ from the direct ones by rounding only. Source: Lavin and
Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from voltween.ops import _native

# Measured: with larger weights, reading them takes longer than the products saved.
_MOST_WEIGHTS = 1 << 20
# With fewer columns, the vectors of the products would be mostly empty.
_FEWEST_COLUMNS = 16
_FEWEST_TILES = 64

# The transform of the weights along one axis, by (points, taps). Other transforms, and
# which m each stands for, are in src/native/winograd_transforms.h.
_WEIGHT_TRANSFORMS = {
    (4, 2): ((1, 0), (0.5, 0.5), (0.5, -0.5), (0, 1)),  # F(3, 2)
    (3, 2): ((1, 0), (1, 1), (0, 1)),  # F(2, 2)
    (4, 3): ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),  # F(2, 3)
}


@dataclass(frozen=True)
class WinogradConvolution:
    """A convolution of stride 1 and padding 1 with its weights transformed.

    Only for inference: it has no gradient.
    """

    weight: Float[Tensor, "panels points_cubed c columns"]
    bias: Float[Tensor, " c2"] | None
    taps: int
    """Voxels of the kernel per axis: 2 or 3."""
    outputs: int
    """Channels of the result."""

    def __call__(
        self, x: Float[Tensor, "b c i j k"], leak: float = 1.0
    ) -> Float[Tensor, "b c2 i2 j2 k2"]:
        """Returns LeakyReLU of the convolution, channels last in memory.

        Args:
            x: Features in single precision, on the CPU.
            leak: Slope of LeakyReLU below 0, within 0 and 1; with 1, there is none.

        Raises:
            ValueError: If the features are of another kind, or the channels differ.
        """
        channels = self.weight.shape[2]
        if x.ndim != 5 or x.shape[1] != channels or x.dtype != torch.float32:
            raise ValueError(
                f"x must have shape (B, {channels}, I, J, K) and torch.float32, got "
                f"{tuple(x.shape)} and {x.dtype}"
            )
        shape = [n + 3 - self.taps for n in x.shape[2:]]
        result = torch.empty(len(x), *shape, self.outputs)
        features = x.permute(0, 2, 3, 4, 1).contiguous()
        threads = torch.get_num_threads()
        _native.winograd(
            features, self.weight, self.bias, self.taps, leak, result, threads
        )
        return result.permute(0, 4, 1, 2, 3)


def winograd_convolution(
    weight: Float[Tensor, "c2 c taps taps taps"],
    bias: Float[Tensor, " c2"] | None,
    shape: tuple[int, ...],
) -> WinogradConvolution | None:
    """Returns the convolution by minimal filtering, or None where it does not pay.

    Args:
        weight: Weight of a convolution of stride 1 and padding 1, in single precision.
        bias: Its bias.
        shape: Shape of the features (B, C, I, J, K) that it will mostly get.
    """
    if weight.dtype != torch.float32 or len(weight) < _FEWEST_COLUMNS:
        return None
    panel = _native.winograd_panel(len(weight))
    points = _points(weight, shape)
    if not panel or points is None:
        return None
    return WinogradConvolution(
        _transformed(weight, points, panel),
        None if bias is None else bias.detach().contiguous(),
        weight.shape[-1],
        len(weight),
    )


def _points(weight: Tensor, shape: tuple[int, ...]) -> int | None:
    """Points per axis: as many as save the most products with weights not too large."""
    taps = weight.shape[-1]
    channels = len(weight) * weight.shape[1]
    for points, transform_taps in _WEIGHT_TRANSFORMS:
        side = points - taps + 1
        tiles = math.prod(-(-(n + 3 - taps) // side) for n in shape[2:]) * shape[0]
        is_fit = channels * points**3 <= _MOST_WEIGHTS and tiles >= _FEWEST_TILES
        if transform_taps == taps and is_fit:
            return points
    return None


def _transformed(weight: Tensor, points: int, panel: int) -> Tensor:
    """Weights (panel, position, input channel, column of the panel), in float32."""
    rows = _WEIGHT_TRANSFORMS[points, weight.shape[-1]]
    transform = torch.tensor(rows, dtype=torch.float64)
    positions = weight.detach().double()
    for _ in range(3):  # each turn transforms the first axis of the kernel
        positions = torch.tensordot(positions, transform, dims=([2], [1]))
    columns = positions.flatten(2).permute(2, 1, 0)
    filled = pad(columns, (0, -len(weight) % panel))
    panels = filled.unflatten(2, (-1, panel)).permute(2, 0, 1, 3)
    return panels.float().contiguous()

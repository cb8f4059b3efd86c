"""Convolutions with fewer products, by Winograd's minimal filtering.

A tile of m^3 voxels of the result of a kernel of r^3 takes (m + r - 1)^3 products per
pair of channels instead of (m r)^3: F(3, 2) needs 64 instead of 216, F(2, 2) 27 instead
of 64, F(2, 3) 64 instead of 216. The transforms of features and results consist of
additions, so results differ from the direct ones by rounding only. Source: Lavin and
Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, section 4.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from voltween.ops.arguments import check_shape
from voltween.ops.interleaving import join
from voltween.ops.native import native, runs_compiled

# Measured: with larger weights, reading them takes longer than the products saved.
_MOST_WEIGHTS = 1 << 20
# Measured: with fewer tiles, the weights are read too often for what is computed.
_FEWEST_TILES = 64
# Products per pair of channels from which transforming the weights anew pays, measured.
_FEWEST_PRODUCTS = 1 << 15

# The transform of the weights along one axis, by (points, taps). Other transforms, and
# which m each stands for, are in src/native/winograd_transforms.h.
_WEIGHT_TRANSFORMS = {
    (4, 2): ((1, 0), (0.5, 0.5), (0.5, -0.5), (0, 1)),  # F(3, 2)
    (3, 2): ((1, 0), (1, 1), (0, 1)),  # F(2, 2)
    (4, 3): ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),  # F(2, 3)
}


@dataclass(frozen=True)
class WinogradConvolution:
    """A convolution of stride 1 with its weights transformed; it has no gradient."""

    weight: Float[Tensor, "panels points_cubed c columns"]
    bias: Float[Tensor, " c2"] | None
    taps: int
    """Voxels of the kernel per axis: 2 or 3."""
    outputs: int
    """Channels of the result."""
    padding: int = 1
    """Zeros around the features, in voxels."""

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
        shape = _result_shape(x.shape, self.taps, self.padding)
        result = _empty(len(x), self.outputs, *shape)
        native.winograd(
            self._lay_out(x),
            self.weight,
            self.bias,
            self.taps,
            self.padding,
            leak,
            _channels_last(result),
            torch.get_num_threads(),
        )
        return result

    def join(
        self,
        x: Float[Tensor, "b c i1 j1 k1"],
        skip: Float[Tensor, "b c2 i j k"],
        prediction: Float[Tensor, "b 24 i2 j2 k2"],
        leak: float,
    ) -> Float[Tensor, "b c3 i j k"]:
        """Returns `ops.join` of skip, the phases of this convolution and prediction.

        The phases themselves are never written to memory.

        Raises:
            ValueError: If a shape does not fit those of the others.
        """
        fine = [2 * n for n in x.shape[2:]]
        phases = [n + 1 for n in x.shape[2:]]
        check_shape("skip", skip, len(x), skip.shape[1], *fine)
        check_shape("prediction", prediction, len(x), 24, *phases)
        channels = skip.shape[1] + self.outputs // 8 + 3
        if not self.can_join:
            return join(skip, self(x), prediction, leak)
        joined = _empty(len(x), channels, *fine)
        native.winograd_join(
            self._lay_out(x),
            self.weight,
            _channels_last(skip),
            _channels_last(prediction),
            leak,
            _channels_last(joined),
            torch.get_num_threads(),
        )
        return joined

    def flow(
        self, x: Float[Tensor, "b c i1 j1 k1"], scale: float
    ) -> Float[Tensor, "b 3 i j k"]:
        """Returns `ops.interleave` of the 24 phases of this convolution.

        Raises:
            ValueError: If the convolution does not compute the phases of a flow.
        """
        if (self.outputs, self.taps, self.padding) != (24, 2, 1):
            raise ValueError(
                "a flow is upsampled by 24 outputs, 2 taps and padding 1, got "
                f"{self.outputs}, {self.taps} and {self.padding}"
            )
        return self.interleaved(x, scale)

    def interleaved(
        self, x: Float[Tensor, "b c i1 j1 k1"], scale: float = 1.0
    ) -> Float[Tensor, "b c2 i j k"]:
        """Returns the array whose phases this convolution computes, times `scale`.

        Raises:
            ValueError: If the convolution does not compute the phases of 1 to 3
                channels.
        """
        channels = self.outputs // 8
        is_fit = self.outputs in (8, 16, 24)  # one panel of every instruction set
        if not is_fit or (self.taps, self.padding) != (2, 1):
            raise ValueError(
                "phases to interleave are 8, 16 or 24 outputs of 2 taps and "
                f"padding 1, got {self.outputs}, {self.taps} and {self.padding}"
            )
        result = torch.empty(len(x), channels, *(2 * n for n in x.shape[2:]))
        threads = torch.get_num_threads()
        native.winograd_flow(self._lay_out(x), self.weight, scale, result, threads)
        return result

    def operations(self, shape: Sequence[int]) -> int:
        """Returns the products and additions for features (B, C, I, J, K).

        Includes what is computed and not used: of tiles that reach beyond the result,
        and of columns that fill the last panel of the weights.
        """
        panels, positions, channels, columns = self.weight.shape
        points = round(positions ** (1 / 3))
        side = points - self.taps + 1
        sides = _result_shape(shape, self.taps, self.padding)
        tiles = shape[0] * math.prod(-(-n // side) for n in sides)
        sums = 2 if points == 3 else 4  # of every transform along one line
        lines = points**2 + points * side + side**2
        products = 2 * positions * channels * panels * columns
        additions = sums * (3 * points**2 * channels + lines * panels * columns)
        return tiles * (products + additions)

    @property
    def can_join(self) -> bool:
        """Whether the channels of each phase are full vectors of this processor."""
        is_full = self.outputs % (8 * native.winograd_panel(1)) == 0
        return is_full and (self.taps, self.padding) == (2, 1)

    def _lay_out(self, x: Tensor) -> Tensor:
        channels = self.weight.shape[2]
        if x.ndim != 5 or x.shape[1] != channels or x.dtype != torch.float32:
            raise ValueError(
                f"x must have shape (B, {channels}, I, J, K) and torch.float32, got "
                f"{tuple(x.shape)} and {x.dtype}"
            )
        return _channels_last(x)


def winograd_convolution(
    weight: Float[Tensor, "c2 c taps taps taps"],
    bias: Float[Tensor, " c2"] | None,
    shape: tuple[int, ...],
    padding: int = 1,
) -> WinogradConvolution | None:
    """Returns the convolution by minimal filtering, or None where it does not pay.

    Args:
        weight: Weight of a convolution of stride 1.
        bias: Its bias.
        shape: Shape of the features (B, C, I, J, K) that it will mostly get.
        padding: Zeros around the features, in voxels.
    """
    if weight.dtype != torch.float32 or not runs_compiled(weight):
        return None
    panel = native.winograd_panel(len(weight))
    points = _points(weight, _result_shape(shape, weight.shape[-1], padding))
    if not panel or points is None:
        return None
    return WinogradConvolution(
        _transformed(weight, points, panel),
        None if bias is None else bias.detach().contiguous(),
        weight.shape[-1],
        len(weight),
        padding,
    )


def winograd_once(
    x: Float[Tensor, "b c i j k"],
    weight: Float[Tensor, "c2 c taps taps taps"],
    bias: Float[Tensor, " c2"] | None,
    padding: int = 1,
) -> WinogradConvolution | None:
    """Returns the convolution by minimal filtering for one use, as in training.

    Returns None where it does not save more time than transforming the weights takes.
    """
    if len(x) * x[0, 0].numel() * weight[0, 0].numel() < _FEWEST_PRODUCTS:
        return None
    return winograd_convolution(weight, bias, x.shape, padding)


def _result_shape(shape: Sequence[int], taps: int, padding: int) -> list[int]:
    return [n + 2 * padding + 1 - taps for n in shape[2:]]


def _points(weight: Tensor, result: Sequence[int]) -> int | None:
    """Points per axis: as many as save the most products with weights not too large."""
    taps = weight.shape[-1]
    for points, transform_taps in _WEIGHT_TRANSFORMS:
        side = points - taps + 1
        tiles = math.prod(-(-n // side) for n in result)
        weights = len(weight) * weight.shape[1] * points**3
        is_fit = weights <= _MOST_WEIGHTS and tiles >= _FEWEST_TILES
        if transform_taps == taps and is_fit:
            return points
    return None


def _transformed(weight: Tensor, points: int, panel: int) -> Tensor:
    """Weights (panel, position, input channel, column of the panel)."""
    axis = torch.tensor(_WEIGHT_TRANSFORMS[points, weight.shape[-1]]).float()
    transform = torch.kron(torch.kron(axis, axis), axis)  # of all three axes
    taps = weight.detach().flatten(2).permute(1, 0, 2)
    filled = pad(taps, (0, 0, 0, -len(weight) % panel))
    by_panel = filled.unflatten(1, (-1, panel)).permute(1, 3, 0, 2)
    return (transform @ by_panel.flatten(2)).unflatten(2, (-1, panel))


def _empty(*shape: int) -> Tensor:
    # Not a view: LeakyReLU works in place on the result of a differentiable function.
    return torch.empty(shape, memory_format=torch.channels_last_3d)


def _channels_last(x: Tensor) -> Tensor:
    """Returns an array with the channels last: a view if they are so in memory."""
    return x.permute(0, 2, 3, 4, 1).contiguous()

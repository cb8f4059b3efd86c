"""Operations and bytes of each layer and step of a cascade.

Counted from the layer table (paper IV-B): a multiplication and an addition are 2
operations; every layer reads its inputs and weights once and writes its result once, in
float32. These are the operations of direct convolutions. `performed_cost` counts those
that are performed: fewer where a layer is computed by minimal filtering.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from voltween.networks import CascadeConfig, level_channels
from voltween.ops import winograd_convolution

_BYTES = 4  # of a float32
_MATRIX_NUMBERS = 12


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of a step."""

    operations: int
    bytes: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.operations + other.operations, self.bytes + other.bytes)

    def __mul__(self, times: int) -> "Cost":
        return Cost(self.operations * times, self.bytes * times)


@dataclass(frozen=True)
class Layer:
    """A convolution of a cascade, for one pair of images."""

    name: str
    module: str
    """Path within a dense subnetwork."""
    kind: Literal["halving", "convolution", "prediction", "phases", "joining", "flow"]
    """Halvings have stride 2; predictions have no LeakyReLU. The others are upsamplings
    (transposed 4^3 convolutions of stride 2): to phases, to features that are joined
    with the encoder's, and to the flow."""
    inputs: int
    outputs: int
    shape: tuple[int, ...]
    """Voxels of the input along each axis."""

    @property
    def voxels(self) -> int:
        """Voxels of the input."""
        return math.prod(self.shape)

    @property
    def is_upsampling(self) -> bool:
        """Whether the layer doubles the grid."""
        return self.kind in ("phases", "joining", "flow")

    @property
    def cost(self) -> Cost:
        """Cost of the direct convolution."""
        if self.is_upsampling:
            return upsampling_cost(self.inputs, self.outputs, self.voxels)
        if self.kind == "halving":
            return convolution_cost(self.inputs, self.outputs, self.voxels // 8, 2)
        return convolution_cost(self.inputs, self.outputs, self.voxels)

    @property
    def performed_cost(self) -> Cost:
        """Cost of the layer as inference on this processor computes it in float32."""
        filtered = None
        if self.kind != "halving":
            taps, outputs = (
                (2, 8 * self.outputs) if self.is_upsampling else (3, self.outputs)
            )
            weight = torch.zeros(outputs, self.inputs, taps, taps, taps)
            shape = (1, self.inputs, *self.shape)
            filtered = winograd_convolution(weight, None, shape)
        if filtered is None:
            return self.cost
        return replace(self.cost, operations=filtered.operations(shape))


def convolution_cost(inputs: int, outputs: int, voxels: int, stride: int = 1) -> Cost:
    """Cost of a 3^3 convolution with bias to `outputs` channels on `voxels` voxels."""
    weights = (27 * inputs + 1) * outputs
    numbers = inputs * voxels * stride**3 + outputs * voxels + weights
    return Cost(2 * 27 * inputs * outputs * voxels, _BYTES * numbers)


def upsampling_cost(inputs: int, outputs: int, voxels: int) -> Cost:
    """Cost of a transposed 4^3 convolution of stride 2 from `voxels` coarse voxels."""
    weights = 64 * inputs * outputs
    numbers = inputs * voxels + 8 * outputs * voxels + weights
    return Cost(2 * 64 * inputs * outputs * voxels, _BYTES * numbers)


def encoder_layers(
    channels: int, halvings: int, shape: Sequence[int]
) -> Iterator[Layer]:
    """Yields an encoder's convolutions for images of a shape (figure 4)."""
    inputs = 2
    for level in range(1, halvings + 1):
        outputs, module = level_channels(channels, level), f"encoder.levels.{level - 1}"
        name, finer = f"conv{level}", _halved(shape, level - 1)
        yield Layer(name, f"{module}.0", "halving", inputs, outputs, finer)
        if level >= 3:
            name, coarse = f"conv{level}_1", _halved(shape, level)
            yield Layer(name, f"{module}.1", "convolution", outputs, outputs, coarse)
        inputs = outputs


def decoder_layers(
    channels: int, halvings: int, shape: Sequence[int]
) -> Iterator[Layer]:
    """Yields the convolutions up to half a grid of a shape (figure 5)."""
    inputs = level_channels(channels, halvings)
    for level in range(halvings - 1, 0, -1):
        coarse, outputs = _halved(shape, level + 1), level_channels(channels, level)
        step = f"steps.{halvings - 1 - level}"
        name, module = f"prediction, level {level + 1}", f"{step}.prediction"
        yield Layer(name, module, "prediction", inputs, 3, coarse)
        name, module = f"prediction to level {level}", f"{step}.prediction_upsampling"
        yield Layer(name, module, "phases", 3, 3, coarse)
        name, module = f"features to level {level}", f"{step}.feature_upsampling"
        yield Layer(name, module, "joining", inputs, outputs, coarse)
        inputs = 2 * outputs + 3


def last_layer(channels: int, shape: Sequence[int]) -> Layer:
    """Returns the layer from half a grid of a shape to the flow."""
    return Layer("last layer", "flow", "flow", 2 * channels + 3, 3, _halved(shape, 1))


def dense_layers(config: CascadeConfig) -> list[Layer]:
    """Returns the layers of a dense subnetwork of the cascade, in their order."""
    channels, halvings, shape = config.channels, config.halvings, config.shape
    return [
        *encoder_layers(channels, halvings, shape),
        *decoder_layers(channels, halvings, shape),
        last_layer(channels, shape),
    ]


def head_cost(config: CascadeConfig) -> Cost:
    """Cost of the affine subnetwork's fully connected layer."""
    voxels = math.prod(config.shape) // 8**config.affine_halvings
    inputs = voxels * level_channels(config.channels, config.affine_halvings)
    numbers = inputs * (1 + _MATRIX_NUMBERS)
    return Cost(2 * _MATRIX_NUMBERS * inputs, _BYTES * numbers)


def warp_cost(channels: int, voxels: int) -> Cost:
    """Cost of a warp: per voxel 12 operations, per channel 7 interpolations of 3."""
    operations = (12 + 21 * channels) * voxels
    return Cost(operations, _BYTES * (3 + 2 * channels) * voxels)


def composition_cost(voxels: int) -> Cost:
    """Cost of a composition: a warp of 3 channels, and the inner flow added."""
    return warp_cost(3, voxels) + Cost(3 * voxels, 0)


def affine_composition_cost(voxels: int) -> Cost:
    """Cost of (I + A) f + A x + b per voxel: 9 products, 15 sums; 3 read, 3 written."""
    return Cost(24 * voxels, _BYTES * 6 * voxels)


def step_costs(config: CascadeConfig, *, is_performed: bool = False) -> dict[str, Cost]:
    """Cost of one run of each step: of direct convolutions, or as performed."""
    channels, shape, voxels = config.channels, config.shape, math.prod(config.shape)
    layers = {
        "affine encoder": encoder_layers(channels, config.affine_halvings, shape),
        "encoder": encoder_layers(channels, config.halvings, shape),
        "decoder": decoder_layers(channels, config.halvings, shape),
        "last layer": [last_layer(channels, shape)],
    }
    convolutions = {
        name: sum_costs(
            [each.performed_cost if is_performed else each.cost for each in those]
        )
        for name, those in layers.items()
    }
    return convolutions | {
        "composition": composition_cost(voxels),
        "affine composition": affine_composition_cost(voxels),
        "warp": warp_cost(1, voxels),
    }


def cascade_cost(config: CascadeConfig, *, is_performed: bool = False) -> Cost:
    """Cost of the whole cascade; its first dense flow needs no composition."""
    costs = step_costs(config, is_performed=is_performed)
    dense = len(config.dense_stage_names)
    subnetwork = costs["encoder"] + costs["decoder"] + costs["last layer"]
    total = (subnetwork + costs["warp"]) * dense
    total += costs["composition"] * max(dense - 1, 0)
    if config.stages.startswith("A"):
        total += costs["affine encoder"] + head_cost(config) + costs["warp"]
        total += costs["affine composition"] * (dense + 1)
    return total


def sum_costs(costs: Sequence[Cost]) -> Cost:
    """Returns the sum of costs."""
    return sum(costs, Cost(0, 0))


def _halved(shape: Sequence[int], times: int) -> tuple[int, ...]:
    return tuple(side // 2**times for side in shape)

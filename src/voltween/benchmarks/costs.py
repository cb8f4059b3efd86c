"""Operations and bytes of each step of a cascade.

Counted from the layer table (paper IV-B): a multiplication and an addition are 2
operations; every step reads its inputs and weights once and writes its result once, in
float32.
"""

import math
from dataclasses import dataclass

from voltween.networks import CascadeConfig, level_channels

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


def encoder_cost(channels: int, halvings: int, voxels: int) -> Cost:
    """Cost of an encoder's convolutions for images of `voxels` voxels (figure 4)."""
    total, inputs = Cost(0, 0), 2
    for level in range(1, halvings + 1):
        outputs, voxels = level_channels(channels, level), voxels // 8
        total += convolution_cost(inputs, outputs, voxels, stride=2)
        if level >= 3:
            total += convolution_cost(outputs, outputs, voxels)
        inputs = outputs
    return total


def decoder_cost(channels: int, halvings: int, voxels: int) -> Cost:
    """Cost of the refinement steps up to half a grid of `voxels` voxels (figure 5)."""
    total, inputs = Cost(0, 0), level_channels(channels, halvings)
    for level in range(halvings - 1, 0, -1):
        coarse, outputs = voxels // 8 ** (level + 1), level_channels(channels, level)
        total += convolution_cost(inputs, 3, coarse)
        total += upsampling_cost(3, 3, coarse)
        total += upsampling_cost(inputs, outputs, coarse)
        inputs = 2 * outputs + 3
    return total


def last_layer_cost(channels: int, voxels: int) -> Cost:
    """Cost of the layer from half the grid to the flow on `voxels` voxels."""
    return upsampling_cost(2 * channels + 3, 3, voxels // 8)


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


def step_costs(config: CascadeConfig) -> dict[str, Cost]:
    """Cost of one run of each step of the cascade."""
    channels, voxels = config.channels, math.prod(config.shape)
    return {
        "affine encoder": encoder_cost(channels, config.affine_halvings, voxels),
        "encoder": encoder_cost(channels, config.halvings, voxels),
        "decoder": decoder_cost(channels, config.halvings, voxels),
        "last layer": last_layer_cost(channels, voxels),
        "composition": composition_cost(voxels),
        "affine composition": affine_composition_cost(voxels),
        "warp": warp_cost(1, voxels),
    }


def cascade_cost(config: CascadeConfig) -> Cost:
    """Cost of the whole cascade; its first dense flow needs no composition."""
    costs, dense = step_costs(config), len(config.dense_stage_names)
    subnetwork = costs["encoder"] + costs["decoder"] + costs["last layer"]
    total = (subnetwork + costs["warp"]) * dense
    total += costs["composition"] * max(dense - 1, 0)
    if config.stages.startswith("A"):
        total += costs["affine encoder"] + head_cost(config) + costs["warp"]
        total += costs["affine composition"] * (dense + 1)
    return total

"""Weights of transposed 4^3 convolutions of stride 2, as weights of 2^3 convolutions.

Each of the eight phases of the result (even and odd voxels along each axis) reads 2^3
inputs. One convolution on a grid one voxel larger computes all phases, as channels.
"""

from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

# Place in the 4^3 kernel of every tap of every phase: along an axis, tap s of phase p
# is at 3 - p - 2 s. Phases come first, the last axis is the fastest.
_PLACES = torch.tensor(
    [
        sum(4 ** (2 - axis) * (3 - phase[axis] - 2 * tap[axis]) for axis in range(3))
        for phase in product(range(2), repeat=3)
        for tap in product(range(2), repeat=3)
    ]
)


def phase_weight(
    weight: Float[Tensor, "inputs outputs 4 4 4"],
) -> Float[Tensor, "phases inputs 2 2 2"]:
    """Weight of the 2^3 convolution that computes all phases, (phase, output) first."""
    inputs, outputs = weight.shape[:2]
    # Taps are put in order first: the other axes then move them in groups of eight.
    taps = weight.flatten(2).index_select(2, _PLACES.to(weight.device))
    by_phase = taps.view(inputs, outputs, 8, 8).permute(2, 1, 0, 3)
    return by_phase.reshape(8 * outputs, inputs, 2, 2, 2)


def transposed_weight(
    weight: Float[Tensor, "phases inputs 2 2 2"],
) -> Float[Tensor, "inputs outputs 4 4 4"]:
    """Weight of the transposed convolution: the inverse of `phase_weight`."""
    phases, inputs = weight.shape[:2]
    by_phase = weight.reshape(2, 2, 2, phases // 8, inputs, 2, 2, 2)
    taps = by_phase.permute(4, 3, 5, 0, 6, 1, 7, 2).flip(2, 3, 4, 5, 6, 7)
    return taps.reshape(inputs, phases // 8, 4, 4, 4)

"""Weights of transposed 4^3 convolutions of stride 2, as weights of 2^3 convolutions.

Each of the eight phases of the result (even and odd voxels along each axis) reads 2^3
inputs. One convolution on a grid one voxel larger computes all phases, as channels.
"""

from jaxtyping import Float
from torch import Tensor


def phase_weight(
    weight: Float[Tensor, "inputs outputs 4 4 4"],
) -> Float[Tensor, "phases inputs 2 2 2"]:
    """Weight of the 2^3 convolution that computes all phases, (phase, output) first."""
    inputs, outputs = weight.shape[:2]
    # Tap s of phase p is at 3 - p - 2 s in the kernel.
    taps = weight.reshape(inputs, outputs, 2, 2, 2, 2, 2, 2).flip(2, 3, 4, 5, 6, 7)
    by_phase = taps.permute(3, 5, 7, 1, 0, 2, 4, 6)
    return by_phase.reshape(8 * outputs, inputs, 2, 2, 2)


def transposed_weight(
    weight: Float[Tensor, "phases inputs 2 2 2"],
) -> Float[Tensor, "inputs outputs 4 4 4"]:
    """Weight of the transposed convolution: the inverse of `phase_weight`."""
    phases, inputs = weight.shape[:2]
    by_phase = weight.reshape(2, 2, 2, phases // 8, inputs, 2, 2, 2)
    taps = by_phase.permute(4, 3, 5, 0, 6, 1, 7, 2).flip(2, 3, 4, 5, 6, 7)
    return taps.reshape(inputs, phases // 8, 4, 4, 4)

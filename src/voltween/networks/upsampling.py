"""Transposed 4^3 convolutions of stride 2 as a 2^3 convolution and an interleaving.

Each of the eight phases of the result (even and odd voxels along each axis) reads 2^3
inputs. One convolution on a grid one voxel larger computes all phases at once, as
channels; `ops.join` and `ops.interleave` put them in place. The result is the same.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.networks.convolution import convolve
from voltween.ops import interleave, join


class Upsampling(nn.Module):
    """Transposed 4^3 convolution of stride 2 without bias: doubles the grid.

    `forward` returns the phases of the result, for `join` or `interleave`. The weight
    is that of the 2^3 convolution; checkpoints store that of `nn.ConvTranspose3d`.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8 * outputs, inputs, 2, 2, 2))

    def forward(
        self, coarse: Float[Tensor, "b c i j k"]
    ) -> Float[Tensor, "b phases i1 j1 k1"]:
        """Returns the phases of the finer grid, (phase, channel) as channels."""
        return convolve(coarse, self.weight)

    def join(
        self,
        coarse: Float[Tensor, "b c i1 j1 k1"],
        skip: Float[Tensor, "b c2 i j k"],
        prediction: Float[Tensor, "b 24 i2 j2 k2"],
        leak: float,
    ) -> Float[Tensor, "b c3 i j k"]:
        """Returns [skip, LeakyReLU(upsampled features), prediction].

        The prediction is given as phases.
        """
        return join(skip, self(coarse), prediction, leak)

    def flow(
        self, coarse: Float[Tensor, "b c i1 j1 k1"], scale: float
    ) -> Float[Tensor, "b 3 i j k"]:
        """Returns the upsampled flow, times `scale`; this layer has 3 outputs."""
        return interleave(self(coarse), scale)

    def _save_to_state_dict(
        self, destination: dict[str, Tensor], prefix: str, keep_vars: bool
    ) -> None:
        weight = self.weight if keep_vars else self.weight.detach()
        destination[f"{prefix}weight"] = transposed_weight(weight)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any
    ) -> None:
        key = f"{prefix}weight"
        if key in state_dict:
            state_dict[key] = phase_weight(state_dict[key])
        super()._load_from_state_dict(state_dict, prefix, *arguments)


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

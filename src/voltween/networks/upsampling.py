"""Transposed 4^3 convolutions of stride 2 as a 2^3 convolution and an interleaving.

The convolution computes the eight phases of the result as channels (`phases.py`);
`ops.join` and `ops.interleave` put them in place. The result is the same.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.networks.convolution import convolve
from voltween.networks.phases import phase_weight, transposed_weight
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

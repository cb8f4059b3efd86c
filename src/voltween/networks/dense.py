"""The dense deformable registration subnetwork (paper IV-B, figure 5)."""

from jaxtyping import Float
from torch import Tensor, nn

from voltween.networks.blocks import (
    LEAK,
    Encoder,
    LinearConvolution,
    initialize,
    level_channels,
    nearest_multiples,
    without_autocast,
)
from voltween.networks.convolution import Padding
from voltween.networks.upsampling import Upsampling


class RefinementStep(nn.Module):
    """One step of the decoder, from the features of one level to the next finer level.

    Joins [skip features, upsampled features, upsampled prediction of the flow].
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.prediction = LinearConvolution(inputs, 3)
        self.prediction_upsampling = Upsampling(3, 3)
        self.feature_upsampling = Upsampling(inputs, outputs)
        for layer in (
            self.prediction_upsampling,
            self.feature_upsampling,
            self.prediction,
        ):
            initialize(layer)

    def forward(
        self, coarse: Float[Tensor, "b c1 i1 j1 k1"], skip: Float[Tensor, "b c2 i j k"]
    ) -> Float[Tensor, "b c3 i j k"]:
        """Returns the features of the finer level: 2 x (channels of skip) + 3."""
        prediction = self.prediction_upsampling(self.prediction(coarse))
        return self.feature_upsampling.join(coarse, skip, prediction, LEAK)


class DenseSubnetwork(nn.Module):
    """Predicts a dense flow, in voxels, from the fixed and the current moving image.

    It accepts any shape whose sides can be halved `halvings` times. The last layer
    starts at 0, so training starts from the identity; its output is multiplied by
    `flow_multiplier`, which sets how fast the flow grows in training.
    """

    def __init__(
        self,
        channels: int,
        halvings: int,
        flow_multiplier: float,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__()
        self.flow_multiplier = flow_multiplier
        self.encoder = Encoder(channels, halvings, padding)
        self.steps = nn.ModuleList()
        inputs = level_channels(channels, halvings)
        for level in range(halvings - 1, 0, -1):
            outputs = level_channels(channels, level)
            self.steps.append(RefinementStep(inputs, outputs))
            inputs = 2 * outputs + 3
        self.flow = Upsampling(inputs, 3)
        nn.init.zeros_(self.flow.weight)

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Float[Tensor, "b 3 i j k"]:
        """Returns the flow in voxels from each fixed voxel to its position in `moving`.

        Raises:
            ValueError: If a side of the images cannot be halved `halvings` times.
        """
        multiple = 2 ** len(self.encoder.levels)
        if any(n % multiple for n in fixed.shape[2:]):
            nearest = nearest_multiples(tuple(fixed.shape[2:]), multiple)
            raise ValueError(
                f"each side of the images must be a multiple of {multiple} voxels, got "
                f"{tuple(fixed.shape[2:])}; the nearest legal shape is {nearest}"
            )
        *skips, coarse = self.encoder(fixed, moving)
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            coarse = step(coarse, skip)
        with without_autocast(coarse):  # flows stay in single precision
            return self.flow.flow(coarse.to(fixed.dtype), self.flow_multiplier)

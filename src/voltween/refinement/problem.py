"""The problem that the affine and the dense search solve."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.losses import Similarity, SimilarityLoss, measure_named, measure_of
from voltween.refinement.descent import Step, Watch
from voltween.refinement.pair_losses import PairLosses
from voltween.refinement.pair_tensors import PairTensors
from voltween.refinement.settings import AffineLevel, Level, Refinement


@dataclass(frozen=True, eq=False)
class Problem:
    """A pair, the settings of its refinement, and the watch over the search."""

    pair: PairTensors
    refinement: Refinement
    watch: Watch

    def losses(
        self, pair: PairTensors, similarity: Similarity | SimilarityLoss
    ) -> PairLosses:
        """Prepares the losses of the pair, or of a version of it on wider voxels."""
        window = self.refinement.window_voxels
        measure = (
            measure_named(similarity, window_voxels=window)
            if isinstance(similarity, str)
            else measure_of(similarity)
        )
        channels = pair.fixed.image.shape[1]
        weights = self.refinement.channel_weights[:channels]
        missing = [1.0] * (channels - len(weights))
        return PairLosses(pair, measure, (*weights, *missing))

    def reporter(
        self, part: Literal["affine", "dense"], number: int, level: AffineLevel | Level
    ) -> Callable[[int, float], object]:
        """Callback that reports a step of a level (its number from 1) to the watch."""
        refinement = self.refinement
        levels = refinement.levels if part == "dense" else refinement.affine_levels
        return lambda step, loss: self.watch.on_step(
            Step(part, number, len(levels), step, level.steps, loss)
        )


def average_field(
    field: Float[Tensor, "1 3 i j k"], factor: int
) -> Float[Tensor, "1 3 i2 j2 k2"]:
    """Returns the field on voxels `factor` times as wide, in units of these voxels."""
    return field if factor == 1 else functional.avg_pool3d(field, factor) / factor

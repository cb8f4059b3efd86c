"""The problem that the affine and the dense search solve."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.losses import (
    Similarity,
    SimilarityLoss,
    feature_measure,
    measure_named,
    measure_of,
)
from voltween.refinement.descent import Step, Watch
from voltween.refinement.pair_losses import PairLosses, Term
from voltween.refinement.pair_tensors import PairTensors
from voltween.refinement.settings import (
    FEATURE_WEIGHT,
    FEATURES,
    AffineLevel,
    Level,
    Refinement,
)


@dataclass(frozen=True, eq=False)
class Problem:
    """A pair, the settings of its refinement, and the watch over the search."""

    pair: PairTensors
    refinement: Refinement
    watch: Watch

    def losses(
        self, pair: PairTensors, similarity: Similarity | SimilarityLoss
    ) -> PairLosses:
        """Prepares the losses of the pair's images, perhaps on wider voxels."""
        return PairLosses(pair, self._image_terms(pair, similarity))

    def dense_losses(self, pair: PairTensors) -> PairLosses:
        """Prepares the losses of the dense part: of images, features or both.

        Raises:
            ValueError: If features are to be compared, and the pair has none.
        """
        refinement = self.refinement
        if refinement.similarity != FEATURES:
            return self.losses(pair, refinement.similarity)
        weight, beside = refinement.image_weight, refinement.beside_features
        images = self._image_terms(pair, beside, weight) if weight else []
        fixed, moving = pair.fixed.features, pair.moving.features
        if fixed is None or moving is None:
            raise ValueError("a pair without features")
        measure = feature_measure(fixed.shape[1])
        return PairLosses(pair, [*images, Term(fixed, moving, measure, FEATURE_WEIGHT)])

    def _image_terms(
        self,
        pair: PairTensors,
        similarity: Similarity | SimilarityLoss,
        weight: float = 1.0,
    ) -> list[Term]:
        """One term per channel of the images; their weights add up to the given one."""
        window = self.refinement.window_voxels
        measure = (
            measure_named(similarity, window_voxels=window)
            if isinstance(similarity, str)
            else measure_of(similarity)
        )
        both = zip(
            pair.fixed.image.split(1, dim=1),
            pair.moving.image.split(1, dim=1),
            strict=True,
        )
        channels = pair.fixed.image.shape[1]
        weights = self.refinement.channel_weights[:channels]
        weights = (*weights, *[1.0] * (channels - len(weights)))
        total = sum(weights)
        return [
            Term(*images, measure, weight * share / total)
            for images, share in zip(both, weights, strict=True)
        ]

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

"""The problem that the affine and the dense search solve, and what both need."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.losses import Similarity, measure_named
from voltween.refinement.descent import Step, Watch
from voltween.refinement.evidence import Evidence
from voltween.refinement.matching import Matching
from voltween.refinement.settings import AffineLevel, Level, Refinement


@dataclass(frozen=True, eq=False)
class Problem:
    """A pair, how its transform is sought, and who watches."""

    evidence: Evidence
    refinement: Refinement
    watch: Watch

    def matching(self, evidence: Evidence, similarity: Similarity) -> Matching:
        """What tells how far the evidence differs."""
        measure = measure_named(similarity, window_voxels=self.refinement.window_voxels)
        channels = evidence.fixed.shape[1]
        given = self.refinement.channel_weights[:channels]
        return Matching(evidence, measure, (*given, *[1.0] * (channels - len(given))))

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
    """The field on voxels that many times as wide, in these."""
    return field if factor == 1 else functional.avg_pool3d(field, factor) / factor

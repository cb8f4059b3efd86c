"""Usual similarities and refinements of each model, measured on its `val` pairs.

`runs/verdict.py` measures the similarities; docs/verdict.md has the tables.
"""

from dataclasses import replace
from typing import NamedTuple

from voltween.refinement import (
    FOR_ANY_CONTRAST,
    WITHOUT_MODEL,
    Effort,
    ImageSimilarity,
    Refinement,
    RefinementSimilarity,
)

_LOST_ACROSS_CONTRASTS = 0.18
"""Below it, answers across contrasts are lost; above it, they may be right or wrong."""


class Similarities(NamedTuple):
    """Similarities after registrations of one kind."""

    lost: float
    """Lost answers have less, and right ones do not."""
    least: float
    """Right answers usually have more."""


class Usual(NamedTuple):
    """The refinement that pays, and what answers usually have."""

    effort: Effort | None
    """The refinement that gains most; None where none gains."""
    start: float
    """Least similarity of a start; below it, all poses are searched."""
    network: Similarities
    """Without refinement."""
    unbent: Similarities
    """Of rigid answers for two people; those of one person have more."""
    refined: Similarities
    """With refinement."""
    roughness: float
    """Largest SD of the log Jacobian of right answers."""
    similarity: ImageSimilarity = "local correlation"
    """What the refinement compares of the images, if nothing is said about it."""
    image_weight: float = 2.0
    """Weight of this similarity beside learned features."""

    def over(
        self, refinement: Refinement, similarity: RefinementSimilarity | None = None
    ) -> Refinement:
        """The refinement with what is usually compared, unless it is given."""
        return replace(
            refinement,
            similarity=similarity or self.similarity,
            beside_features=self.similarity,
            image_weight=self.image_weight,
        )

    def is_across_contrasts(self, refinement: Refinement | None) -> bool:
        """Whether model or refinement is one for scans of two contrasts."""
        if self.similarity in FOR_ANY_CONTRAST:
            return True
        return refinement is not None and refinement.tolerates_any_contrast

    def similarities(self, refinement: Refinement | None) -> Similarities:
        """Those of answers that are found by a refinement, or by the network alone."""
        if refinement is None:
            usual = self.network
        else:
            bends = refinement.transform == "deformable"
            usual = self.refined if bends else self.unbent
        if self.is_across_contrasts(refinement):
            return usual._replace(lost=min(usual.lost, _LOST_ACROSS_CONTRASTS))
        return usual


_USUAL = {
    "brain": Usual(
        "accurate",
        start=0.49,
        network=Similarities(0.4, 0.49),
        unbent=Similarities(0.2, 0.26),
        refined=Similarities(0.45, 0.55),
        roughness=0.5,
    ),
    "headneck": Usual(
        "accurate",
        start=0.28,
        network=Similarities(0.18, 0.25),
        unbent=Similarities(0.14, 0.2),
        refined=Similarities(0.25, 0.31),
        roughness=0.65,
    ),
    "hippocampus": Usual(
        "fast",
        start=0.28,
        network=Similarities(0.24, 0.28),
        unbent=Similarities(0.14, 0.2),
        refined=Similarities(0.42, 0.48),
        roughness=0.7,
    ),
    WITHOUT_MODEL: Usual(
        "accurate",
        start=0.35,
        network=Similarities(0.2, 0.3),
        unbent=Similarities(0.14, 0.2),
        refined=Similarities(0.4, 0.5),
        roughness=0.7,
    ),
}
_OTHER = Usual(
    "accurate",
    start=0.3,
    network=Similarities(0.2, 0.3),
    unbent=Similarities(0.14, 0.2),
    refined=Similarities(0.35, 0.45),
    roughness=0.7,
)
# Chosen by the Dice of scans in changed intensities (docs/models.md), the weight by the
# folding as well.
_USUAL["brain-any"] = _OTHER._replace(
    similarity="normalized mutual information", image_weight=1.0
)


def usual_of(model_name: str) -> Usual:
    """Returns the usual values of a model; cautious guesses if it is not shipped."""
    return _USUAL.get(model_name, _OTHER)

"""The usual refinements and their names."""

from dataclasses import replace
from typing import Literal, NamedTuple, cast, get_args

from voltween.refinement.settings import (
    AffineLevel,
    Level,
    Refinement,
    RefinementSimilarity,
    TransformKind,
)

WITHOUT_MODEL = "none"
"""The model name that stands for instance optimization without a model."""


class NamedRefinement(NamedTuple):
    """A refinement by the words at the end of a method's name."""

    effort: "Effort"
    similarity: RefinementSimilarity | None = None
    """None for the one that is usual with the model."""

    def settings(self, *, has_model: bool) -> Refinement:
        """The settings; the local correlation is compared unless the name says it."""
        refinement = choose_refinement(self.effort, has_model=has_model)
        compared = self.similarity or "local correlation"
        return replace(refinement, similarity=compared)


def split_name(name: str) -> tuple[str, NamedRefinement | None]:
    """Splits a name into the model and its refinement, None where it has none.

    "hippocampus+fast" is the shipped model hippocampus with the fast refinement;
    "none+accurate+normalized-mutual-information" also says what is compared, by the
    similarity's name with hyphens. A model file may have plus signs in its own name.
    """
    model, plus, effort = name.rpartition("+")
    similarity = _SIMILARITIES.get(effort)
    if similarity is not None:
        model, plus, effort = model.rpartition("+")
    if plus and effort in get_args(Effort):
        return model, NamedRefinement(cast(Effort, effort), similarity)
    return name, None


_SIMILARITIES: dict[str, RefinementSimilarity] = {
    name.replace(" ", "-"): name for name in get_args(RefinementSimilarity)
}

FAST = Refinement((Level(2, 15, 0.5), Level(1, 10, 0.2)), update_variation=2.0)
"""After a network: takes a few times as long as the network."""

ACCURATE = Refinement((Level(4, 15, 0.5), Level(2, 20, 0.5), Level(1, 20, 0.2)))
"""After a network: as many steps as improved the result."""

_AFFINE_LEVELS = (AffineLevel(4, 40, 0.3), AffineLevel(2, 30, 0.3))

FAST_ALONE = Refinement(
    (Level(2, 40, 0.5, 4), Level(2, 20, 0.5, 2), Level(2, 10, 0.5)),
    affine_levels=_AFFINE_LEVELS,
)
"""Without a network: affine and dense part from the identity."""

ACCURATE_ALONE = Refinement(
    (
        Level(2, 60, 0.5, 4),
        Level(2, 40, 0.5, 2),
        Level(2, 20, 0.5),
        Level(1, 15, 0.2),
    ),
    affine_levels=_AFFINE_LEVELS,
)
"""Without a network: as many steps as improved the result."""

_COARSE_LEVELS = (Level(2, 40, 0.5, 4), Level(2, 20, 0.5, 2))


def from_scratch(refinement: Refinement) -> Refinement:
    """The refinement for a start that is only roughly right.

    It optimizes the affine part first, and the dense part from wide voxels on.
    """
    if refinement.affine_levels:
        return refinement
    levels = (*_COARSE_LEVELS, *refinement.levels)
    return replace(refinement, affine_levels=_AFFINE_LEVELS, levels=levels)


Effort = Literal["fast", "accurate"]
REFINEMENTS: dict[Effort, Refinement] = {"fast": FAST, "accurate": ACCURATE}
"""The usual refinements after a network."""

ALONE: dict[Effort, Refinement] = {"fast": FAST_ALONE, "accurate": ACCURATE_ALONE}
"""The usual refinements without a network."""


_CLOSE_LEVELS: dict[Effort, tuple[AffineLevel, ...]] = {
    "fast": (AffineLevel(2, 25, 0.1, is_close=True),),
    "accurate": (
        AffineLevel(2, 30, 0.15, is_close=True),
        AffineLevel(1, 30, 0.05, is_close=True),
        AffineLevel(1, 20, 0.01, is_close=True),
    ),
}
"""After the wide levels, where the affine part is the whole result."""


def choose_refinement(
    effort: Effort | int | None,
    *,
    has_model: bool,
    transform: TransformKind = "deformable",
) -> Refinement:
    """The usual refinement of an effort, after a network or without one.

    A number is the number of steps of the accurate refinement; None is accurate. Of a
    transform that is not deformable, only the affine part is optimized.

    Raises:
        InputError: If there are fewer steps than levels, or if a number is given for a
            transform that is not deformable.
    """
    usual = REFINEMENTS if has_model else ALONE
    name = "accurate" if isinstance(effort, int) else effort or "accurate"
    refinement = usual[name]
    if transform != "deformable":
        levels = (*_AFFINE_LEVELS, *_CLOSE_LEVELS[name])
        refinement = Refinement((), affine_levels=levels, transform=transform)
    return refinement.with_steps(effort) if isinstance(effort, int) else refinement

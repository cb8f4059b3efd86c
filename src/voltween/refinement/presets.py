"""The usual refinements and their names."""

from typing import Literal, cast, get_args

from voltween.refinement.settings import AffineLevel, Level, Refinement

WITHOUT_MODEL = "none"
"""Stands in a model's place where a transform is sought on the pair alone."""


def split_name(name: str) -> tuple[str, Refinement | None]:
    """A shipped model or a file, and how its answers are refined on the pair, if so.

    "hippocampus+fast" is the shipped model hippocampus, refined fast.
    """
    model, plus, effort = name.rpartition("+")
    efforts = ALONE if model == WITHOUT_MODEL else REFINEMENTS
    if plus and effort in get_args(Effort):
        return model, efforts[cast(Effort, effort)]
    return name, None


FAST = Refinement((Level(2, 15, 0.5), Level(1, 10, 0.2)), update_variation=2.0)
"""After a network: some times as long as it."""

ACCURATE = Refinement((Level(4, 15, 0.5), Level(2, 20, 0.5), Level(1, 20, 0.2)))
"""After a network: where more steps gained nothing."""

_AFFINE_LEVELS = (AffineLevel(4, 40, 0.3), AffineLevel(2, 30, 0.3))

FAST_ALONE = Refinement(
    (Level(2, 40, 0.5, 4), Level(2, 20, 0.5, 2), Level(2, 10, 0.5)),
    affine_levels=_AFFINE_LEVELS,
)
"""Without a network: affine part and dense part from nothing."""

ACCURATE_ALONE = Refinement(
    (
        Level(2, 60, 0.5, 4),
        Level(2, 40, 0.5, 2),
        Level(2, 20, 0.5),
        Level(1, 15, 0.2),
    ),
    affine_levels=_AFFINE_LEVELS,
)
"""Without a network: where more steps gained nothing."""

Effort = Literal["fast", "accurate"]
REFINEMENTS: dict[Effort, Refinement] = {"fast": FAST, "accurate": ACCURATE}
"""Usual ones after a network."""

ALONE: dict[Effort, Refinement] = {"fast": FAST_ALONE, "accurate": ACCURATE_ALONE}
"""Usual ones without a network."""

"""Usual similarities and refinements of each model, measured on its `val` pairs.

`runs/verdict.py` measures the similarities; docs/verdict.md has the tables.
"""

from typing import NamedTuple

from voltween.refinement import WITHOUT_MODEL, Effort


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
    refined: Similarities
    """With refinement."""
    roughness: float
    """Largest SD of the log Jacobian of right answers."""


_USUAL = {
    "brain": Usual(
        "accurate", 0.49, Similarities(0.4, 0.49), Similarities(0.45, 0.55), 0.5
    ),
    "headneck": Usual(
        "accurate", 0.28, Similarities(0.18, 0.25), Similarities(0.25, 0.31), 0.65
    ),
    "hippocampus": Usual(
        "fast", 0.28, Similarities(0.24, 0.28), Similarities(0.42, 0.48), 0.7
    ),
    WITHOUT_MODEL: Usual(
        "accurate", 0.35, Similarities(0.2, 0.3), Similarities(0.4, 0.5), 0.7
    ),
}
_OTHER = Usual("accurate", 0.3, Similarities(0.2, 0.3), Similarities(0.35, 0.45), 0.7)


def usual_of(model_name: str) -> Usual:
    """Returns the usual values of a model; cautious guesses if it is not shipped."""
    return _USUAL.get(model_name, _OTHER)

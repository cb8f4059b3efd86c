"""What is usual of the registrations of each model, measured on its `val` pairs.

`runs/verdict.py` measures the similarities; docs/verdict.md has the tables.
"""

from typing import NamedTuple

from voltween.refinement import WITHOUT_MODEL, Effort


class Usual(NamedTuple):
    """The refinement that pays, and the similarities that answers usually have."""

    effort: Effort | None
    """The refinement that gains most; None where none gains."""
    start: float
    """Least similarity of a start; below it, all poses are searched."""
    network: float
    """Least similarity of a right answer without refinement."""
    refined: float
    """Least similarity of a right answer with refinement."""
    roughness: float
    """Largest SD of the log Jacobian of a right answer."""


_USUAL = {
    "brain": Usual("accurate", 0.42, 0.42, 0.5, 0.5),
    "headneck": Usual("accurate", 0.28, 0.28, 0.42, 0.5),
    "hippocampus": Usual("fast", 0.2, 0.2, 0.53, 0.8),
    WITHOUT_MODEL: Usual("accurate", 0.35, 0.3, 0.5, 0.8),
}
_OTHER = Usual("accurate", 0.3, 0.3, 0.42, 0.5)


def usual_of(model_name: str) -> Usual:
    """What is usual of a model; of models that are not shipped, a cautious guess."""
    return _USUAL.get(model_name, _OTHER)

"""What a model's name says: which model, and how its answers are refined."""

from voltween.refinement import REFINEMENTS, Refinement


def split_name(name: str) -> tuple[str, Refinement | None]:
    """A shipped model or a file, and how its answers are refined on the pair, if so.

    "hippocampus+fast" is the shipped model hippocampus, refined fast.
    """
    model, plus, effort = name.rpartition("+")
    if plus and effort in REFINEMENTS:
        return model, REFINEMENTS[effort]
    return name, None

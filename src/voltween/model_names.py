"""What a model's name says: which model, and how its answers are refined."""

from typing import cast, get_args

from voltween.refinement import ALONE, REFINEMENTS, Effort, Refinement

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

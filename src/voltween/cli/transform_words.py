"""Transforms as the command line names them: files in order, and inverses."""

from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from voltween import io
from voltween.spatial import Transform

_INVERSE = "inverse:"


class NamedTransform(NamedTuple):
    """A transform made of one or several files."""

    transform: Transform
    formula: str
    """Its value at x, such as B.h5(A.h5(x))."""


def read_transforms(words: Sequence[Path]) -> NamedTransform:
    """Reads transforms and composes them: the first is applied to points first.

    An image goes the other way, from the moving scan of the last transform to the fixed
    scan of the first: the order of antsApplyTransforms.

    Args:
        words: Files, at least one. With inverse: in front, the inverse is taken.

    Raises:
        InputError: If a file cannot be read.
    """
    parts = [_read(str(word)) for word in words]
    transform = reduce(lambda inner, outer: outer @ inner, [p[0] for p in parts])
    formula = reduce(
        lambda inner, outer: f"{outer}({inner})", [p[1] for p in parts], "x"
    )
    return NamedTransform(transform, formula)


def _read(word: str) -> tuple[Transform, str]:
    """A transform, and its name in formulas."""
    path = Path(word.removeprefix(_INVERSE))
    transform = io.read_transform(path)
    if word.startswith(_INVERSE):
        return transform.inverse(), f"inverse of {path.name}"
    return transform, path.name

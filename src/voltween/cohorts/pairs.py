"""The pairs of a cohort that are to be registered."""

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from voltween.errors import InputError
from voltween.storage import read_columns

Pair = tuple[str, str]
"""Names of the fixed and the moving case."""


def ordered_pairs(names: Sequence[str]) -> list[Pair]:
    """All pairs (fixed, moving) of different cases."""
    return list(permutations(names, 2))


def atlas_pairs(names: Sequence[str], atlas: str) -> list[Pair]:
    """The pairs that register every other case to the atlas.

    Raises:
        InputError: If no case has the atlas's name.
    """
    if atlas not in names:
        raise InputError(
            about="atlas", expected=f"one of {', '.join(names)}", got=repr(atlas)
        )
    return [(atlas, name) for name in names if name != atlas]


def read_pairs(path: Path) -> list[Pair]:
    """Reads pairs from a CSV with columns fixed and moving.

    Raises:
        InputError: If the file is missing, has other columns, or lists no pairs.
    """
    pairs = read_columns(path, "fixed", "moving")
    if not pairs:
        raise InputError(about=path, expected="a list of pairs", got="no pairs")
    return pairs


def draw_pairs(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """Draws at most `most` pairs with seed 0; 0 returns all."""
    if not 0 < most < len(pairs):
        return list(pairs)
    order = np.random.default_rng(0).permutation(len(pairs))[:most]
    return [pairs[n] for n in order]


def check_pairs(pairs: Sequence[Pair], names: Sequence[str]) -> None:
    """Checks that all cases of the pairs are among the names.

    Raises:
        InputError: If a pair names another case.
    """
    if unknown := sorted({name for pair in pairs for name in pair} - set(names)):
        raise InputError(
            about="pairs",
            expected="cases of the split",
            got=", ".join(unknown),
            advice="give another --split or another list",
        )

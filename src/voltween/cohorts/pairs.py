"""Which pairs of a cohort are registered."""

import csv
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from voltween.errors import InputError
from voltween.files import existing_file

Pair = tuple[str, str]
"""Names of the fixed and the moving case."""


def ordered_pairs(names: Sequence[str]) -> list[Pair]:
    """All pairs (fixed, moving) of different cases."""
    return list(permutations(names, 2))


def atlas_pairs(names: Sequence[str], atlas: str) -> list[Pair]:
    """Every other case to be moved onto one.

    Raises:
        InputError: If there is no such case.
    """
    if atlas not in names:
        raise InputError(f"atlas must be one of {', '.join(names)}, got {atlas!r}")
    return [(atlas, name) for name in names if name != atlas]


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a CSV with columns fixed and moving.

    Raises:
        InputError: If the file is missing, or is no such list.
    """
    with existing_file(path).open(newline="", encoding="utf-8-sig") as file:
        try:
            pairs = [(row["fixed"], row["moving"]) for row in csv.DictReader(file)]
        except (KeyError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                f"{path}: expected a CSV with columns fixed and moving, got something "
                "else"
            ) from error
    if not pairs:
        raise InputError(f"{path}: lists no pairs")
    return pairs


def draw_pairs(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """The pairs, or `most` of them drawn by seed 0; 0 takes all."""
    if not 0 < most < len(pairs):
        return list(pairs)
    order = np.random.default_rng(0).permutation(len(pairs))[:most]
    return [pairs[n] for n in order]


def check_pairs(pairs: Sequence[Pair], names: Sequence[str]) -> None:
    """Refuse pairs of what is not among the names.

    Raises:
        InputError: If there are such.
    """
    if unknown := sorted({name for pair in pairs for name in pair} - set(names)):
        raise InputError(
            f"pairs must be of cases of the split, got {', '.join(unknown)}: give "
            "another --split or another list"
        )

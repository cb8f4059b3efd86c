"""The choice of pairs of a cohort that are evaluated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voltween.cohorts import (
    Case,
    Pair,
    atlas_pairs,
    draw_pairs,
    ordered_pairs,
    read_pairs,
)
from voltween.errors import InputError, check_range


@dataclass(frozen=True)
class PairSelection:
    """Choice of the pairs of a cohort."""

    split: str = "val"
    """Cases to pair: train, val or test."""
    pairs: Literal["all", "atlas", "list"] = "all"
    """All ordered pairs, all cases to one fixed case, or the pairs of a list."""
    atlas: str | None = None
    """Fixed case of all pairs; if not given, the first case."""
    pair_list: Path | None = None
    """CSV with columns fixed and moving."""
    max_pairs: int = 0
    """Number of pairs to measure, drawn with a fixed seed; 0 for all."""

    def choose(self, cases: Sequence[Case]) -> list[Pair]:
        """The chosen pairs of these cases.

        Raises:
            InputError: If options contradict each other or name unknown cases.
        """
        if (self.pairs == "list") != (self.pair_list is not None):
            raise InputError(
                about="--pairs list",
                expected="--pair-list FILE with it, and neither without the other",
                got="only one of them",
            )
        if self.atlas is not None and self.pairs != "atlas":
            raise InputError(
                about="--atlas", expected="--pairs atlas", got=f"--pairs {self.pairs}"
            )
        check_range("--max-pairs", self.max_pairs, 0, math.inf)
        names = [case.name for case in cases]
        if self.pair_list is not None:
            pairs = read_pairs(self.pair_list)
        elif self.pairs == "atlas":
            pairs = atlas_pairs(names, self.atlas or names[0])
        else:
            pairs = ordered_pairs(names)
        return draw_pairs(pairs, self.max_pairs)

"""The rows of an index: one per pair and method, in the order worst first."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from voltween.storage import text_digest

Grade = Literal["no result", "failed", "doubtful", "not judged", "good"]
GRADES: tuple[Grade, ...] = ("no result", "failed", "doubtful", "not judged", "good")
"""From the worst to the best."""

_VERSION_LETTERS = 16


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """A registered pair, or one that failed; empty or NaN for what it does not have."""

    fixed: str
    """Name of the fixed scan."""
    moving: str
    """Name of the moving scan."""
    method: str = ""
    """Name of the method, where several are compared."""
    verdict: Literal["good", "doubtful", "failed", ""] = ""
    reasons: str = ""
    """Reasons of the verdict, if it is not good."""
    similarity: float = math.nan
    """Mean squared local correlation of the registered scans, 0 to 1."""
    dice: float = math.nan
    """Mean Dice of the structures, 0 to 1."""
    landmark_mm: float = math.nan
    """Mean distance of corresponding landmarks after the registration."""
    folding_percent: float = math.nan
    """Percentage of voxels that fold."""
    seconds: float = math.nan
    """Time to register."""
    error: str = ""
    """The one line that says why there is no result."""
    thumbnail: Path | None = None
    """Small picture of the result; left out if there is no such file."""
    report: Path | None = None
    """Page of the pair, or its folder; left out if there is none."""

    @property
    def grade(self) -> Grade:
        """The verdict, or why there is none."""
        return "no result" if self.error else self.verdict or "not judged"

    @property
    def name(self) -> str:
        """The pair, and the method if there is one, in words."""
        pair = f"{self.moving} to {self.fixed}"
        return f"{pair}, {self.method}" if self.method else pair

    @property
    def version(self) -> str:
        """Digest of the names and the result, under which a reader's mark is kept.

        A mark of an earlier result is none of this one. Time is no part of a result.
        """
        result = (
            *(self.fixed, self.moving, self.method, self.grade, self.reasons),
            *(self.similarity, self.dice, self.landmark_mm, self.folding_percent),
        )
        return text_digest(repr(result))[:_VERSION_LETTERS]


def worst_first(rows: Iterable[IndexRow]) -> list[IndexRow]:
    """The rows by grade, within a grade by similarity and Dice, then by name."""
    return sorted(rows, key=_rank)


def _rank(row: IndexRow) -> tuple[object, ...]:
    measures = (-1.0 if math.isnan(m) else m for m in (row.similarity, row.dice))
    return (GRADES.index(row.grade), *measures, row.moving, row.fixed, row.method)

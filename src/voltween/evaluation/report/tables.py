"""The tables of a report: one line a method, and one line a paired test."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from voltween.evaluation.report.markup import Cell, Line, Table
from voltween.evaluation.report.statistics import Estimate
from voltween.evaluation.report.summaries import (
    IDENTITY,
    Comparison,
    MethodSummary,
    short_names,
)

WORDS = {"dice": "Dice", "iou": "IoU"}


@dataclass(frozen=True)
class _Column:
    """How one measure is shown."""

    heading: str
    field: str
    shown: Callable[[float], str]
    middle: Literal["mean", "median"] = "mean"
    beside: Literal["nothing", "sd", "interval"] = "nothing"
    is_high_good: bool = False

    def value(self, row: MethodSummary) -> float:
        """The number that is compared; NaN if it was not measured."""
        estimate = row.estimates[self.field]
        return estimate.mean if self.middle == "mean" else estimate.median

    def text(self, row: MethodSummary) -> str:
        """The number with what stands beside it; empty if it was not measured."""
        value = self.value(row)
        if math.isnan(value):
            return ""
        return self.shown(value) + self._beside(row.estimates[self.field])

    def _beside(self, estimate: Estimate) -> str:
        if self.beside == "sd" and not math.isnan(estimate.sd):
            return f" ({self.shown(estimate.sd)})"
        if self.beside == "interval":
            return _interval(estimate.ci_low, estimate.ci_high, self.shown)
        return ""

    def best(self, rows: Sequence[MethodSummary]) -> str:
        """The best number as it is shown; empty if there is nothing to choose from.

        To move nothing takes no time and folds nothing, which is no merit.
        """
        values = [
            self.value(row)
            for row in rows
            if self.text(row) and (self.is_high_good or row.method != IDENTITY)
        ]
        if len(values) < 2:
            return ""
        return self.shown(max(values) if self.is_high_good else min(values))

    def cell(self, row: MethodSummary, best: str) -> Cell:
        """The number of a method, marked where it is shown as the best one is."""
        is_contender = self.is_high_good or row.method != IDENTITY
        return Cell(
            self.text(row), is_contender and best == self.shown(self.value(row))
        )


def _three_decimals(value: float) -> str:
    return f"{value:.3f}"


def _three_digits(value: float) -> str:
    """Such as 0.0123, 1.23 and 1234: three digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"


_COLUMNS = (
    _Column("Dice (SD)", "dice", _three_decimals, beside="sd", is_high_good=True),
    _Column(
        "IoU [95 % CI]", "iou", _three_decimals, beside="interval", is_high_good=True
    ),
    _Column("HD95 (mm)", "hd95_mm", _three_digits),
    _Column("landmarks (mm)", "landmark_mm", _three_digits),
    _Column("folding (%)", "folding_percent", _three_digits),
    _Column("SD log J", "sd_log_jacobian", _three_decimals),
    _Column("time (s)", "seconds", _three_digits, middle="median"),
)


def method_table(rows: Sequence[MethodSummary]) -> Table:
    """One line a method; without the columns that nothing was measured of."""
    names = short_names(row.method for row in rows)
    columns = [column for column in _COLUMNS if any(map(column.text, rows))]
    best = [column.best(rows) for column in columns]
    lines = []
    for row in rows:
        cells = [Cell(names[row.method]), Cell(_pairs(row))]
        for column, shown in zip(columns, best, strict=True):
            cells.append(column.cell(row, shown))
        lines.append(Line(tuple(cells), row.reason))
    headings = ("method", "pairs", *(column.heading for column in columns))
    return Table(headings, tuple(lines))


def _pairs(row: MethodSummary) -> str:
    asked = row.pairs_ok + row.pairs_failed
    return str(asked) if row.pairs_ok == asked else f"{row.pairs_ok} of {asked}"


def comparison_table(compared: Sequence[Comparison], methods: Sequence[str]) -> Table:
    """One line a method and measure: differences to the reference method, and p."""
    names = short_names(methods)
    columns: dict[str, Callable[[Comparison], str]] = {
        "method": lambda c: names[c.method],
        "measure": lambda c: WORDS[c.measure],
        "pairs": lambda c: str(c.test.pairs),
        "median": lambda c: _shown(c.test.median_difference, _signed),
        "mean [95 % CI]": lambda c: (
            _shown(c.test.mean_difference, _signed)
            + _interval(c.test.ci_low, c.test.ci_high, _signed)
        ),
        "p": lambda c: _shown(c.test.p, _p),
        "p, Holm": lambda c: _shown(c.p_holm, _p),
        "note": lambda c: c.note,
    }
    if not any(comparison.note for comparison in compared):
        del columns["note"]
    lines = [Line(tuple(Cell(text(c)) for text in columns.values())) for c in compared]
    return Table(tuple(columns), tuple(lines))


def _p(value: float) -> str:
    return f"{value:.2g}"


def _shown(value: float, shown: Callable[[float], str]) -> str:
    return "" if math.isnan(value) else shown(value)


def _interval(low: float, high: float, shown: Callable[[float], str]) -> str:
    return "" if math.isnan(low) else f" [{shown(low)}, {shown(high)}]"

"""The tables of a report: one line per method, and one line per paired test."""

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

VERDICTS = "good / doubtful / failed"
WORDS = {"dice": "Dice", "iou": "IoU"}


@dataclass(frozen=True)
class _Column:
    """Format of one measure."""

    heading: str
    field: str
    format: Callable[[float], str]
    middle: Literal["mean", "median"] = "mean"
    beside: Literal["nothing", "sd", "interval"] = "nothing"
    is_high_good: bool = False

    def value(self, row: MethodSummary) -> float:
        """The number to compare; NaN if it was not measured."""
        estimate = row.estimates[self.field]
        return estimate.mean if self.middle == "mean" else estimate.median

    def text(self, row: MethodSummary) -> str:
        """The number with its SD or interval; empty if it was not measured."""
        value = self.value(row)
        if math.isnan(value):
            return ""
        return self.format(value) + self._beside(row.estimates[self.field])

    def _beside(self, estimate: Estimate) -> str:
        if self.beside == "sd" and not math.isnan(estimate.sd):
            return f" ({self.format(estimate.sd)})"
        if self.beside == "interval":
            return _interval(estimate.ci_low, estimate.ci_high, self.format)
        return ""

    def best(self, rows: Sequence[MethodSummary]) -> str:
        """The best number as shown; empty if fewer than two methods have one.

        Identity does not compete in time and folding: it takes no time and cannot fold.
        """
        values = [
            self.value(row)
            for row in rows
            if self.text(row) and (self.is_high_good or row.method != IDENTITY)
        ]
        if len(values) < 2:
            return ""
        return self.format(max(values) if self.is_high_good else min(values))

    def cell(self, row: MethodSummary, best: str) -> Cell:
        """The number of a method, marked if it is shown as the best number is."""
        is_contender = self.is_high_good or row.method != IDENTITY
        return Cell(
            self.text(row), is_contender and best == self.format(self.value(row))
        )


def _three_decimals(value: float) -> str:
    return f"{value:.3f}"


def _three_digits(value: float) -> str:
    """Three digits, or all before the point: 0.0123, 1.23, 1234."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _with_sign(value: float) -> str:
    return f"{value:+.3f}"


_COLUMNS = (
    _Column("Dice (SD)", "dice", _three_decimals, beside="sd", is_high_good=True),
    _Column(
        "IoU [95 % CI]", "iou", _three_decimals, beside="interval", is_high_good=True
    ),
    _Column("IoU of union", "iou_union", _three_decimals, is_high_good=True),
    _Column("HD95 (mm)", "hd95_mm", _three_digits),
    _Column("landmarks (mm)", "landmark_fixed_mm", _three_digits),
    _Column("landmarks (voxels)", "landmark_voxels", _three_digits),
    _Column("folding (%)", "folding_percent", _three_digits),
    _Column("SD log J", "sd_log_jacobian", _three_decimals),
    _Column("time (s)", "seconds", _three_digits, middle="median"),
)


def method_table(rows: Sequence[MethodSummary]) -> Table:
    """One line per method, without columns that have no measures or say nothing new."""
    names = short_names(row.method for row in rows)
    columns = [
        column
        for column in _COLUMNS
        if any(map(column.text, rows)) and not _repeats_iou(column.field, rows)
    ]
    best = [column.best(rows) for column in columns]
    is_judged = any(sum(row.verdicts.values()) for row in rows)
    lines = []
    for row in rows:
        cells = [Cell(names[row.method]), Cell(_pairs(row))]
        if is_judged:
            cells.append(Cell(" / ".join(map(str, row.verdicts.values()))))
        for column, shown in zip(columns, best, strict=True):
            cells.append(column.cell(row, shown))
        lines.append(Line(tuple(cells), row.reason))
    judged = (VERDICTS,) if is_judged else ()
    headings = ("method", "pairs", *judged, *(column.heading for column in columns))
    return Table(headings, tuple(lines))


def _repeats_iou(field: str, rows: Sequence[MethodSummary]) -> bool:
    """Whether a column is the IoU of the union of one structure: the IoU again."""
    return field == "iou_union" and not any(row.union_differs for row in rows)


def _pairs(row: MethodSummary) -> str:
    asked = row.pairs_ok + row.pairs_failed
    return str(asked) if row.pairs_ok == asked else f"{row.pairs_ok} of {asked}"


def comparison_table(compared: Sequence[Comparison], methods: Sequence[str]) -> Table:
    """One line per method and measure: differences to the reference method, and p."""
    names = short_names(methods)
    columns: dict[str, Callable[[Comparison], str]] = {
        "method": lambda c: names[c.method],
        "measure": lambda c: WORDS[c.measure],
        "pairs": lambda c: str(c.test.pairs),
        "median": lambda c: _shown(c.test.median_difference, _with_sign),
        "mean [95 % CI]": lambda c: (
            _shown(c.test.mean_difference, _with_sign)
            + _interval(c.test.ci_low, c.test.ci_high, _with_sign)
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

"""Reads a finished comparison: a pair, its transforms and its scores."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween.cohorts import Case, Pair, Scan, read_scan
from voltween.errors import InputError
from voltween.evaluation.comparison_folder import ComparisonFolder
from voltween.evaluation.records import Record
from voltween.evaluation.report.summaries import (
    reference_method,
    summary_rows,
    values_of,
)
from voltween.evaluation.scores import Scores
from voltween.spatial import Transform
from voltween.storage import read_table

_COLUMNS = ("method", "fixed", "moving", "status")


@dataclass(frozen=True, eq=False)
class MethodResult:
    """The transform of a pair by one method, and its record."""

    fixed_to_moving: Transform
    record: Record


@dataclass(frozen=True, eq=False)
class ComparedPair:
    """A pair of a comparison with the results of every method."""

    fixed: Scan
    moving: Scan
    methods: dict[str, MethodResult]
    """Methods that registered the pair, by name, in the order of the comparison."""
    chosen: str
    """Reason for the choice of this pair, in words."""


def read_compared_pair(
    folder: Path,
    cases: Sequence[Case],
    pair: Pair | None = None,
    *,
    methods: Sequence[str] = (),
) -> ComparedPair:
    """Reads a pair (fixed, moving) of a finished comparison that kept its transforms.

    If no pair is given, it is the median one by IoU of the report's reference method.
    If methods are given, only those are read, in this order.

    Raises:
        InputError: If the folder holds no finished comparison, lacks this pair, its
            transforms or a method that is asked for, or the manifest lacks its cases.
    """
    comparison = ComparisonFolder.at(folder)
    scores = read_scores(folder)
    pair, chosen = (pair, "pair as asked for") if pair else median_pair(scores)
    by_name = {case.name: case for case in cases}
    if absent := [name for name in pair if name not in by_name]:
        raise InputError(
            about=folder,
            expected="the manifest of the comparison",
            got=f"one without the case {', '.join(absent)}",
        )
    names = _methods_of(scores, pair, folder)
    if absent := [name for name in methods if name not in names]:
        raise InputError(
            about="--methods",
            expected=f"methods that registered {pair[1]} to {pair[0]}: "
            f"{', '.join(names)}",
            got=", ".join(absent),
        )
    results = {name: _result(comparison, name, pair) for name in methods or names}
    is_masked = comparison.is_masked(names[0], pair)
    fixed, moving = (read_scan(by_name[name], is_masked=is_masked) for name in pair)
    return ComparedPair(fixed, moving, results, chosen)


def read_scores(folder: Path) -> Scores:
    """Reads the scores of all registered pairs, in the order of pairs.csv.

    Raises:
        InputError: If the folder has none.
    """
    comparison = ComparisonFolder.at(folder)
    kind = "pairs.csv in the folder of a finished `voltween compare`"
    table = read_table(folder / "pairs.csv", kind, _COLUMNS)
    records = [
        comparison.record(row["method"], (row["fixed"], row["moving"]))
        for row in table.rows
        if row["status"] == "ok"
    ]
    measured = [record for record in records if record is not None]
    if not measured:
        raise InputError(
            about=folder,
            expected="the folder of a finished `voltween compare`",
            got="one without measured pairs",
        )
    return Scores(
        tuple(record.pair for record in measured),
        tuple(row for record in measured for row in record.structures),
        tuple(row for record in measured for row in record.stages),
    )


def median_pair(scores: Scores) -> tuple[Pair, str]:
    """The pair with the median IoU of the reference method, and the reason in words.

    For an even number, it is the lower of the two middle pairs; without any measured
    overlap, the first pair.
    """
    reference = reference_method(summary_rows(scores))
    if reference is None:
        first = scores.pairs[0]
        return (first.fixed, first.moving), "first pair"
    values = values_of(scores, reference.method, "iou")
    measured = {pair: iou for pair, iou in values.items() if not math.isnan(iou)}
    middle = statistics.median_low(measured.values())
    pair = next(pair for pair, iou in measured.items() if iou == middle)
    return pair, f"median pair of {len(measured)} by IoU of {reference.method}"


def _methods_of(scores: Scores, pair: Pair, folder: Path) -> list[str]:
    """The methods that registered a pair, in the order of the comparison."""
    names = [
        score.method for score in scores.pairs if (score.fixed, score.moving) == pair
    ]
    if not names:
        raise InputError(
            about=folder,
            expected="a pair of pairs.csv",
            got=f"{pair[1]} to {pair[0]}, which no method registered",
        )
    return names


def _result(comparison: ComparisonFolder, method: str, pair: Pair) -> MethodResult:
    record = comparison.record(method, pair)
    assert record is not None  # the method's score comes from there
    return MethodResult(comparison.transform(method, pair), record)

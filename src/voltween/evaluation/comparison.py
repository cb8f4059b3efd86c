"""A finished comparison read back: a pair of it, its transforms and its scores."""

import csv
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween import io
from voltween.cohorts import Case, Pair, Scan, read_scan
from voltween.errors import InputError
from voltween.evaluation.records import Record, Records, kept_transform
from voltween.evaluation.report.summaries import (
    reference_method,
    summary_rows,
    values_of,
)
from voltween.evaluation.scores import Scores
from voltween.files import existing_file
from voltween.spatial import Transform

_COLUMNS = {"method", "fixed", "moving", "status"}


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What a method made of a pair, and what was measured of it."""

    fixed_to_moving: Transform
    record: Record


@dataclass(frozen=True, eq=False)
class ComparedPair:
    """A pair of a comparison as every method registered it."""

    fixed: Scan
    moving: Scan
    methods: dict[str, MethodResult]
    """By name, in the order they were asked for; those that registered the pair."""
    chosen: str
    """Why it is this pair, in words."""


def read_compared_pair(
    folder: Path, cases: Sequence[Case], pair: Pair | None = None
) -> ComparedPair:
    """A pair (fixed, moving) of a finished comparison that kept its transforms.

    If no pair is given, the median one by IoU of the report's reference method.

    Raises:
        InputError: If the folder is no finished comparison, has not this pair or no
            transforms of it, or the manifest has not its cases.
    """
    scores = read_scores(folder)
    pair, chosen = (pair, "pair as asked for") if pair else median_pair(scores)
    by_name = {case.name: case for case in cases}
    if absent := [name for name in pair if name not in by_name]:
        raise InputError(f"{folder}: the manifest has no case {', '.join(absent)}")
    methods = {
        score.method: _result(folder, score.method, pair)
        for score in scores.pairs
        if (score.fixed, score.moving) == pair and score.status == "ok"
    }
    if not methods:
        raise InputError(
            f"{folder}: no method registered {pair[1]} to {pair[0]}: its pairs are in "
            "pairs.csv"
        )
    is_masked = Records(folder).is_masked(next(iter(methods)), pair)
    fixed, moving = (read_scan(by_name[name], is_masked=is_masked) for name in pair)
    return ComparedPair(fixed, moving, methods, chosen)


def read_scores(folder: Path) -> Scores:
    """Scores of all pairs that were registered, in the order of pairs.csv.

    Raises:
        InputError: If the folder has none.
    """
    with existing_file(folder / "pairs.csv").open(newline="") as file:
        table = csv.DictReader(file)
        # None of the rows of a table of another kind counts.
        is_known = set(table.fieldnames or ()) >= _COLUMNS
        rows = [row for row in table if is_known and row["status"] == "ok"]
    records = [
        Records(folder).read(row["method"], (row["fixed"], row["moving"]))
        for row in rows
    ]
    found = [record for record in records if record is not None]
    if not found:
        raise InputError(
            f"{folder}: expected the folder of a finished `voltween compare`, got one "
            "without measured pairs"
        )
    return Scores(
        tuple(record.pair for record in found),
        tuple(row for record in found for row in record.structures),
        tuple(row for record in found for row in record.stages),
    )


def median_pair(scores: Scores) -> tuple[Pair, str]:
    """The pair at the median IoU of the reference method, and that in words.

    Of an even number the lower of the two in the middle; the first pair where no
    overlap was measured.
    """
    reference = reference_method(summary_rows(scores))
    if reference is None:
        first = scores.pairs[0]
        return (first.fixed, first.moving), "first pair"
    values = values_of(scores, reference.method, "iou")
    known = {pair: value for pair, value in values.items() if value == value}
    middle = statistics.median_low(known.values())
    pair = next(pair for pair, value in known.items() if value == middle)
    return pair, f"median pair of {len(known)} by IoU of {reference.method}"


def _result(folder: Path, method: str, pair: Pair) -> MethodResult:
    path = kept_transform(folder, method, pair)
    if not path.exists():
        raise InputError(
            f"{path}: no such transform: give `voltween compare` --keep-transforms"
        )
    record = Records(folder).read(method, pair)
    assert record is not None  # its score comes from there
    return MethodResult(io.read_transform(path), record)

"""Summaries of the scores of many pairs: per method, structure and stage, and tests."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from voltween.cohorts import Pair
from voltween.evaluation.report.statistics import (
    Estimate,
    PairedTest,
    estimate,
    holm,
    paired_test,
)
from voltween.evaluation.scores import (
    NOT_MEASURED,
    PairScore,
    Scores,
    mean_of_measured,
)
from voltween.registration import Grade

CsvRow = dict[str, str | int | float]

QUALITIES = (
    "similarity",
    "dice",
    "iou",
    "iou_union",
    "hd95_mm",
    "surface_distance_mm",
    "landmark_mm",
    "landmark_fixed_mm",
    "landmark_voxels",
    "folding_percent",
    "sd_log_jacobian",
    "folding_percent_learn2reg",
    "sd_log_jacobian_learn2reg",
    "inverse_consistency_mm",
    "inside_percent",
)
COSTS = ("seconds", "processor_seconds", "loading_seconds", "peak_memory_mb")
IDENTITY = "identity"
"""The method without registration, from which all others start."""
UNREGISTERED = (IDENTITY, "centres")
TESTED = ("iou", "dice")
_MODEL = "model:"


@dataclass(frozen=True, kw_only=True)
class MethodSummary:
    """Summary of one method over the pairs that it registered."""

    method: str
    pairs_ok: int
    pairs_failed: int
    verdicts: dict[str, int]
    """Number of pairs by their verdict: good, doubtful, failed."""
    reason: str
    """Reason why there are no measures at all; empty if there are some."""
    estimates: dict[str, Estimate]
    """Estimates of every field in `QUALITIES` and `COSTS`."""
    union_differs: bool
    """Whether the IoU of the union of all labels differs from the IoU in some pair: it
    does not if there is one structure."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of a method with the reference method in one measure."""

    method: str
    reference: str
    reference_is: str
    """Reason why that method is the reference."""
    measure: str
    test: PairedTest
    p_holm: float
    """p corrected for all comparisons in all measures."""

    @property
    def note(self) -> str:
        """Caveat for reading p; empty if there is none."""
        if not self.test.pairs:
            return "no common pair"
        return "too few pairs" if self.test.has_too_few_pairs else ""


class Reference(NamedTuple):
    """The method that the others are tested against, and the reason for the choice."""

    method: str
    reason: str


def methods_of(scores: Scores) -> list[str]:
    """The methods in the order of the scores."""
    return list(dict.fromkeys(score.method for score in scores.pairs))


def values_of(scores: Scores, method: str, field: str) -> dict[Pair, float]:
    """A field of `PairScore` for all pairs that a method registered; may be NaN."""
    return {
        (score.fixed, score.moving): float(getattr(score, field))
        for score in scores.pairs
        if score.method == method and score.status == "ok"
    }


def failures(scores: Scores) -> list[PairScore]:
    """Pairs that were not registered, except for methods that registered none."""
    registered = {score.method for score in scores.pairs if score.status == "ok"}
    return [s for s in scores.pairs if s.status == "failed" and s.method in registered]


def suspects(scores: Scores) -> list[PairScore]:
    """Answers of which the verdict is not good, the worst first.

    Methods that do not register are left out.
    """
    judged = [s for s in scores.pairs if s.reasons and s.method not in UNREGISTERED]
    return sorted(judged, key=lambda s: (s.verdict != "failed", s.similarity))


def summary_rows(scores: Scores) -> list[MethodSummary]:
    """One row per method, in the order of the scores."""
    return [_method_summary(scores, method) for method in methods_of(scores)]


def _method_summary(scores: Scores, method: str) -> MethodSummary:
    pairs = [score for score in scores.pairs if score.method == method]
    ok = sum(score.status == "ok" for score in pairs)
    return MethodSummary(
        method=method,
        pairs_ok=ok,
        pairs_failed=sum(score.status == "failed" for score in pairs),
        verdicts={
            grade: sum(score.verdict == grade for score in pairs)
            for grade in get_args(Grade)
        },
        reason="" if ok else _reason(pairs),
        estimates={
            field: estimate(values_of(scores, method, field))
            for field in QUALITIES + COSTS
        },
        union_differs=any(
            not (math.isnan(s.iou_union) or math.isclose(s.iou_union, s.iou))
            for s in pairs
        ),
    )


def _reason(pairs: Sequence[PairScore]) -> str:
    """Reason in words why a method registered no pair, with its first note."""
    tried = [score for score in pairs if score.status != "missing"]
    if not tried:
        return NOT_MEASURED
    is_unavailable = all(score.status == "unavailable" for score in tried)
    count = f"all {len(pairs)}" if len(tried) == len(pairs) else f"{len(tried)}"
    status = "unavailable" if is_unavailable else f"failed on {count} pairs"
    notes = list(dict.fromkeys(score.note for score in tried if score.note))
    if not notes:
        return status
    others = f" ({len(notes) - 1} other reasons in pairs.csv)" if notes[1:] else ""
    return f"{status}: {notes[0]}{others}"


def structure_rows(scores: Scores) -> list[CsvRow]:
    """One row per method and label: the number of pairs that share it, and means."""
    rows: list[CsvRow] = []
    fields = ("dice", "iou", "hd95_mm", "surface_distance_mm")
    for method, label in dict.fromkeys((s.method, s.label) for s in scores.structures):
        group = [s for s in scores.structures if (s.method, s.label) == (method, label)]
        measured = sum(not math.isnan(score.dice) for score in group)
        name = next((score.structure for score in group if score.structure), "")
        row: CsvRow = {"method": method, "label": label, "structure": name}
        row["pairs"] = measured
        rows.append(
            row | {f: mean_of_measured(getattr(s, f) for s in group) for f in fields}
        )
    return rows


def stage_rows(scores: Scores) -> list[CsvRow]:
    """One row per method and stage: means over pairs, with the SD of Dice."""
    rows: list[CsvRow] = []
    landmarks = ("landmark_mm", "landmark_fixed_mm", "landmark_voxels")
    fields = ("iou", "iou_union", *landmarks, "folding_percent")
    for method, stage in dict.fromkeys((s.method, s.stage) for s in scores.stages):
        group = [s for s in scores.stages if (s.method, s.stage) == (method, stage)]
        dice = estimate({(s.fixed, s.moving): s.dice for s in group})
        row: CsvRow = {
            "method": method,
            "stage": stage,
            "pairs": len(group),
            "dice": dice.mean,
            "dice_sd": dice.sd,
        }
        rows.append(
            row | {f: mean_of_measured(getattr(s, f) for s in group) for f in fields}
        )
    return rows


def reference_method(rows: Sequence[MethodSummary]) -> Reference | None:
    """The first model, else the method with the best mean IoU, among those measured."""
    measured = [row for row in rows if row.estimates["iou"].pairs]
    for row in measured:
        if row.method.startswith(_MODEL):
            return Reference(row.method, "first model")
    best = max(measured, key=lambda row: row.estimates["iou"].mean, default=None)
    return Reference(best.method, "best mean IoU") if best else None


def comparisons(scores: Scores, rows: Sequence[MethodSummary]) -> list[Comparison]:
    """Tests of all measured methods against the reference method, in IoU and Dice."""
    reference = reference_method(rows)
    if reference is None:
        return []
    tested = [
        (row.method, measure)
        for measure in TESTED
        for row in rows
        if row.method != reference.method and row.estimates[measure].pairs
    ]
    tests = [
        paired_test(
            values_of(scores, method, measure),
            values_of(scores, reference.method, measure),
        )
        for method, measure in tested
    ]
    return [
        Comparison(
            method=method,
            reference=reference.method,
            reference_is=reference.reason,
            measure=measure,
            test=test,
            p_holm=p_holm,
        )
        for (method, measure), test, p_holm in zip(
            tested, tests, holm([test.p for test in tests]), strict=True
        )
    ]


def short_names(methods: Iterable[str]) -> dict[str, str]:
    """Names to show: a model's file without its folder, unless two would be equal."""
    names = {method: _without_folder(method) for method in methods}
    shown = list(names.values())
    return {m: name if shown.count(name) == 1 else m for m, name in names.items()}


def _without_folder(method: str) -> str:
    kind, _, file = method.partition(":")
    if not file:
        return method
    return f"{kind}:{Path(file).name.removesuffix('.safetensors')}"

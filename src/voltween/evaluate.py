"""A model on pairs of a cohort: Dice, IoU and folding after every stage, and time."""

import csv
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import permutations
from pathlib import Path

import numpy as np

from voltween.checkpoint import Model
from voltween.data import Case, load_case, masked_by_labels
from voltween.errors import InputError
from voltween.files import output_folder, whole_file
from voltween.metrics import iou_from_dice
from voltween.register import Registration, register
from voltween.volume import Image, LabelMap

Row = dict[str, str | int | float]


@dataclass(frozen=True)
class StageScore:
    """One stage of one registered pair; Dice and IoU are means over shared labels."""

    fixed: str
    moving: str
    stage: str
    dice: float
    iou: float
    folding_percent: float
    seconds: float
    """Time to register the pair, without reading files or the model."""


@dataclass(frozen=True)
class StructureScore:
    """One label of one stage of one registered pair."""

    fixed: str
    moving: str
    stage: str
    label: int
    dice: float
    iou: float


@dataclass(frozen=True)
class Evaluation:
    """All scores of a model on the pairs of a cohort."""

    pairs: tuple[StageScore, ...]
    structures: tuple[StructureScore, ...]


def evaluate(
    model: Model,
    cases: Sequence[Case],
    *,
    pairs: Iterable[tuple[str, str]],
    is_masked: bool = False,
    on_pair: Callable[[str, str, float], None] = lambda fixed, moving, dice: None,
) -> Evaluation:
    """Scores on pairs (names of fixed and moving), images masked by labels if asked.

    Raises:
        InputError: If a case has no labels or cannot be read.
    """
    without = [case.name for case in cases if case.labels is None]
    if without:
        raise InputError(f"evaluation needs labels, these cases have none: {without}")
    scans = {case.name: _labelled_scan(case, is_masked) for case in cases}
    stages: list[StageScore] = []
    structures: list[StructureScore] = []
    for fixed, moving in pairs:
        fixed_image, fixed_labels = scans[fixed]
        moving_image, moving_labels = scans[moving]
        start = time.perf_counter()
        registration = register(fixed_image, moving_image, model=model)
        _ = registration.moved
        seconds = time.perf_counter() - start
        of_pair = [
            StructureScore(fixed, moving, stage, label, dice, iou_from_dice(dice))
            for stage, per_label in registration.dice(
                fixed_labels, moving_labels
            ).items()
            for label, dice in per_label.items()
        ]
        structures += of_pair
        stages += _stage_scores(of_pair, registration, seconds)
        on_pair(fixed, moving, stages[-1].dice)
    return Evaluation(tuple(stages), tuple(structures))


def chosen_pairs(names: Sequence[str], most_pairs: int) -> list[tuple[str, str]]:
    """All ordered pairs (fixed, moving), or `most_pairs` of them drawn by seed 0."""
    pairs = list(permutations(names, 2))
    if 0 < most_pairs < len(pairs):
        order = np.random.default_rng(0).permutation(len(pairs))[:most_pairs]
        pairs = [pairs[n] for n in order]
    return pairs


def summary(evaluation: Evaluation) -> list[Row]:
    """One row a stage: means over pairs, with the SD of Dice, and median seconds."""
    stages = list(dict.fromkeys(score.stage for score in evaluation.pairs))
    rows: list[Row] = []
    for stage in stages:
        scores = [score for score in evaluation.pairs if score.stage == stage]
        dice = np.array([score.dice for score in scores])
        row: Row = {
            "stage": stage,
            "pairs": len(scores),
            "dice": float(dice.mean()),
            "dice_sd": float(dice.std()),
            "iou": float(np.mean([score.iou for score in scores])),
            "folding_percent": float(
                np.mean([score.folding_percent for score in scores])
            ),
            "seconds": float(np.median([score.seconds for score in scores])),
        }
        rows.append(row)
    return rows


def structure_summary(evaluation: Evaluation) -> list[Row]:
    """One row a label and stage: mean Dice and IoU over pairs."""
    keys = dict.fromkeys((score.label, score.stage) for score in evaluation.structures)
    rows: list[Row] = []
    for label, stage in sorted(keys, key=lambda key: key[0]):
        scores = [
            score
            for score in evaluation.structures
            if (score.label, score.stage) == (label, stage)
        ]
        dice = float(np.mean([score.dice for score in scores]))
        iou = float(np.mean([score.iou for score in scores]))
        rows.append({"label": label, "stage": stage, "dice": dice, "iou": iou})
    return rows


def summary_table(evaluation: Evaluation) -> str:
    """The summary as a Markdown table."""
    lines = [
        "| stage | Dice (SD over pairs) | IoU | folding % |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['stage']} | {row['dice']:.3f} ({row['dice_sd']:.3f}) "
        f"| {row['iou']:.3f} | {row['folding_percent']:.3f} |"
        for row in summary(evaluation)
    ]
    return "\n".join(lines)


def write_evaluation(evaluation: Evaluation, out: Path) -> None:
    """Write pairs.csv, structures.csv, their summaries and summary.md to a folder."""
    out = output_folder(out)
    pair_columns = [field.name for field in fields(StageScore)]
    structure_columns = [field.name for field in fields(StructureScore)]
    _write_csv(out / "pairs.csv", pair_columns, map(asdict, evaluation.pairs))
    _write_csv(
        out / "structures.csv", structure_columns, map(asdict, evaluation.structures)
    )
    rows = summary(evaluation)
    _write_csv(out / "summary.csv", list(rows[0]), rows)
    rows = structure_summary(evaluation)
    _write_csv(out / "summary_structures.csv", list(rows[0]), rows)
    with whole_file(out / "summary.md") as partial:
        partial.write_text(summary_table(evaluation) + "\n")


def _labelled_scan(case: Case, is_masked: bool) -> tuple[Image, LabelMap]:
    image, labels = load_case(case)
    assert labels is not None
    return (masked_by_labels(image, labels) if is_masked else image), labels


def _stage_scores(
    structures: list[StructureScore], registration: Registration, seconds: float
) -> list[StageScore]:
    """The means over the structures of one pair, stage by stage."""
    folding = {stage.name: stage.folding_percent for stage in registration.stages}
    by_stage: dict[str, list[StructureScore]] = {}
    for score in structures:
        by_stage.setdefault(score.stage, []).append(score)
    return [
        StageScore(
            fixed=scores[0].fixed,
            moving=scores[0].moving,
            stage=stage,
            dice=float(np.mean([score.dice for score in scores])),
            iou=float(np.mean([score.iou for score in scores])),
            folding_percent=folding.get(stage, 0.0),
            seconds=seconds,
        )
        for stage, scores in by_stage.items()
    ]


def _write_csv(path: Path, columns: list[str], rows: Iterable[dict]) -> None:
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)

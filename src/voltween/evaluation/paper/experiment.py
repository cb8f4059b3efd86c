"""Tables of the paper as experiments on a cohort: train every row, compare all.

An experiment is a TOML file, `experiments/table_2.toml` to `table_7.toml`: the rows of
a table with the paper's own numbers. Networks that several tables share are trained
once, in the folder `trained` of the output.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voltween.cohorts import Case, cases_of_split, draw_pairs, load_case, ordered_pairs
from voltween.errors import MissingPackageError
from voltween.evaluation.alignment import Alignment, align_cases, prealign
from voltween.evaluation.methods import Method, method_named, model_method, unavailable
from voltween.evaluation.paper.scales import (
    SCALES,
    Scale,
    ScaleName,
    recipe_of,
    share_of,
)
from voltween.evaluation.paper.table_file import PAPER_COLUMNS, Experiment, Row
from voltween.evaluation.report.report_folder import write_report
from voltween.evaluation.report.summaries import MethodSummary, summary_rows
from voltween.evaluation.runner import evaluate
from voltween.evaluation.scores import PairScore, Scores
from voltween.files import whole_file
from voltween.training import StepReport, fit_preprocessing, train


@dataclass(frozen=True)
class Observer:
    """Who is told how far an experiment is."""

    on_training: Callable[[str], None] = lambda name: None
    on_step: Callable[[StepReport], None] = lambda report: None
    on_pair: Callable[[PairScore], None] = lambda score: None


def run_experiment(
    experiment: Experiment,
    cases: Sequence[Case],
    *,
    out: Path,
    scale: ScaleName = "small",
    max_pairs: int = 0,
    observer: Observer = Observer(),
) -> Scores:
    """Train and compare all rows on pairs of the `val` cases; goes on if it was cut.

    Writes the report of a comparison and table.md, beside the paper's numbers, into the
    folder of the experiment's name in `out`.

    Raises:
        InputError: If the cases cannot be used or `out` cannot be written to.
    """
    laboratory = _Laboratory(tuple(cases), SCALES[scale], out / scale, observer)
    methods = [laboratory.method(row) for row in experiment.rows]
    val = cases_of_split(cases, "val")
    folder = out / scale / experiment.name
    pairs = draw_pairs(ordered_pairs([case.name for case in val]), max_pairs)
    # Tables share what they have in common: the pairs of one folder.
    measured = evaluate(
        methods, val, pairs=pairs, out=out / scale, on_pair=observer.on_pair
    )
    scores = _renamed(measured, experiment)
    write_report(scores, folder)
    with whole_file(folder / "table.md") as partial:
        partial.write_text(table(experiment, scores) + "\n")
    return scores


def table(experiment: Experiment, scores: Scores) -> str:
    """The experiment's table in Markdown, the paper's numbers beside the measured."""
    measured = {row.method: row for row in summary_rows(scores)}
    lines = [
        f"## {experiment.title}",
        "",
        "| method | IoU (95 % interval) | Dice | s a pair | paper: IoU | landmark "
        "distance | s, GPU | s, CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in experiment.rows:
        own = _measured_cells(measured[row.name])
        paper = [_number(row.paper.get(name)) for name in PAPER_COLUMNS]
        lines.append(f"| {row.name} | {' | '.join((*own, *paper))} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Laboratory:
    """Where networks are trained, on the cases as they are or laid on an atlas."""

    cases: tuple[Case, ...]
    scale: Scale
    out: Path
    observer: Observer

    def method(self, row: Row) -> Method:
        """The row as a method; its network is trained if it was not yet."""
        if row.method is not None:
            return method_named(row.method)
        self.observer.on_training(row.method_name)
        try:
            method = model_method(row.method_name, str(self._trained(row)))
        except MissingPackageError as error:
            return unavailable(row.method_name, error)
        if row.aligned:
            return prealign(method, self._alignment, name=row.method_name)
        return method

    def _trained(self, row: Row) -> Path:
        cases = self._aligned_cases() if row.aligned else self.cases
        fitted = fit_preprocessing(cases_of_split(cases, "train"))
        recipe = recipe_of(row, fitted, self.scale)
        return train(
            share_of(cases, row.train_share),
            recipe,
            out=self.out / "trained" / row.method_name,
            cache=self.out / "cache",
            on_step=self.observer.on_step,
        )

    def _aligned_cases(self) -> tuple[Case, ...]:
        used = [case for case in self.cases if case.split in ("train", "val")]
        return align_cases(used, self._alignment, self.out.parent / "aligned")

    @property
    def _alignment(self) -> Alignment:
        """To the first training case."""
        image, _ = load_case(cases_of_split(self.cases, "train")[0])
        return Alignment(image, self.out.parent / "alignment")


def _renamed(measured: Scores, experiment: Experiment) -> Scores:
    """The scores by the names of the table's rows."""
    names = {row.method_name: row.name for row in experiment.rows}

    def renamed(scores: Any) -> Any:
        return tuple(replace(one, method=names[one.method]) for one in scores)

    return Scores(
        renamed(measured.pairs), renamed(measured.structures), renamed(measured.stages)
    )


def _measured_cells(row: MethodSummary) -> tuple[str, str, str]:
    if row.reason:
        return row.reason, "", ""
    iou, dice, seconds = (row.estimates[name] for name in ("iou", "dice", "seconds"))
    interval = f" ({iou.ci_low:.3f} to {iou.ci_high:.3f})"
    return (
        f"{iou.mean:.3f}" + ("" if math.isnan(iou.ci_low) else interval),
        f"{dice.mean:.3f}",
        f"{seconds.median:.3g}",
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

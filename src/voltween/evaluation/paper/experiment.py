"""Tables of the paper as experiments: train the network of every row, compare all.

A table is a TOML file, `tables/table_2.toml` to `table_7.toml`, with the rows and the
published numbers. Networks that several tables share are trained once, in the folder
`trained` of the output.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from voltween.cohorts import Case, cases_of_split, draw_pairs, load_case, ordered_pairs
from voltween.errors import MissingPackageError
from voltween.evaluation.alignment import Alignment, align_cases, prealign
from voltween.evaluation.method_names import method_named
from voltween.evaluation.methods import Method, model_method, unavailable
from voltween.evaluation.paper.scales import (
    SCALES,
    Scale,
    ScaleName,
    recipe_of,
    share_of,
)
from voltween.evaluation.paper.table_file import PAPER_COLUMNS, PaperTable, TableRow
from voltween.evaluation.report.report_folder import write_report
from voltween.evaluation.report.summaries import MethodSummary, summary_rows
from voltween.evaluation.runner import evaluate
from voltween.evaluation.scores import PairScore, Scores
from voltween.files import whole_file
from voltween.training import StepReport, fit_preprocessing, train


@dataclass(frozen=True)
class Observer:
    """Progress callbacks of an experiment."""

    on_training: Callable[[str], None] = lambda name: None
    on_step: Callable[[StepReport], None] = lambda report: None
    on_pair: Callable[[PairScore], None] = lambda score: None


def run_experiment(
    experiment: PaperTable,
    cases: Sequence[Case],
    *,
    out: Path,
    scale: ScaleName = "small",
    max_pairs: int = 0,
    observer: Observer = Observer(),
) -> Scores:
    """Trains and compares all rows on pairs of the `val` cases.

    An interrupted run continues. The folder of the table's name in `out` gets the
    report of a comparison, and table.md with published beside measured numbers.

    Raises:
        InputError: If the cases cannot be used.
        OutputError: If `out` cannot be written to.
    """
    laboratory = _Laboratory(tuple(cases), SCALES[scale], out / scale, observer)
    methods = [laboratory.method(row) for row in experiment.rows]
    val = cases_of_split(cases, "val")
    folder = out / scale / experiment.name
    pairs = draw_pairs(ordered_pairs([case.name for case in val]), max_pairs)
    # All tables share one folder of finished pairs.
    measured = evaluate(
        methods, val, pairs=pairs, out=out / scale, on_pair=observer.on_pair
    )
    scores = _rename_methods(measured, experiment)
    write_report(scores, folder)
    with whole_file(folder / "table.md") as partial:
        partial.write_text(table(experiment, scores) + "\n")
    return scores


def table(experiment: PaperTable, scores: Scores) -> str:
    """The table in Markdown, with the published numbers beside the measured ones."""
    measured = {row.method: row for row in summary_rows(scores)}
    lines = [
        f"## {experiment.title}",
        "",
        "| method | IoU (95 % interval) | Dice | s per pair | paper: IoU | landmark "
        "distance | s, GPU | s, CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in experiment.rows:
        cells = _measured_cells(measured[row.name])
        published = [_number(row.paper.get(name)) for name in PAPER_COLUMNS]
        lines.append(f"| {row.name} | {' | '.join((*cells, *published))} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class _Laboratory:
    """Trains networks on the original cases or on cases aligned to an atlas."""

    cases: tuple[Case, ...]
    scale: Scale
    out: Path
    observer: Observer

    def method(self, row: TableRow) -> Method:
        """The row as a method; trains its network if it is not trained yet."""
        if row.method is not None:
            return method_named(row.method)
        self.observer.on_training(row.method_name)
        try:
            method = model_method(row.method_name, str(self._train(row)))
        except MissingPackageError as error:
            return unavailable(row.method_name, error)
        if row.aligned:
            return prealign(method, self._alignment, name=row.method_name)
        return method

    def _train(self, row: TableRow) -> Path:
        cases = self._align_cases() if row.aligned else self.cases
        fitted = fit_preprocessing(cases_of_split(cases, "train"))
        recipe = recipe_of(row, fitted, self.scale)
        return train(
            share_of(cases, row.train_share),
            recipe,
            out=self.out / "trained" / row.method_name,
            cache=self.out / "cache",
            on_step=self.observer.on_step,
        )

    def _align_cases(self) -> tuple[Case, ...]:
        used = [case for case in self.cases if case.split in ("train", "val")]
        return align_cases(used, self._alignment, self.out.parent / "aligned")

    @property
    def _alignment(self) -> Alignment:
        """Alignment to the first training case."""
        image, _ = load_case(cases_of_split(self.cases, "train")[0])
        return Alignment(image, self.out.parent / "alignment")


def _rename_methods(measured: Scores, experiment: PaperTable) -> Scores:
    """The scores with the names of the table's rows."""
    names = {row.method_name: row.name for row in experiment.rows}

    def rename(scores: Any) -> Any:
        return tuple(replace(score, method=names[score.method]) for score in scores)

    return Scores(
        rename(measured.pairs), rename(measured.structures), rename(measured.stages)
    )


def _measured_cells(row: MethodSummary) -> tuple[str, str, str]:
    if row.reason:
        return row.reason, "", ""
    iou, dice, seconds = (row.estimates[name] for name in ("iou", "dice", "seconds"))
    has_interval = not math.isnan(iou.ci_low)
    interval = f" ({iou.ci_low:.3f} to {iou.ci_high:.3f})" if has_interval else ""
    return (
        f"{iou.mean:.3f}{interval}",
        f"{dice.mean:.3f}",
        f"{seconds.median:.3g}",
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

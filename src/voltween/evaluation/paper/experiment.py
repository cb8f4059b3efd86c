"""Tables of the paper as experiments: train the network of every row, compare all.

A table is a TOML file, such as `tables/table_2.toml`, with the rows and the published
numbers. Networks that several tables share are trained once, in the folder `trained` of
the output. `train` cases teach, `val` cases choose the best checkpoint, and the table
is measured on `test` cases.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voltween.baselines import TIME_LIMIT_MINUTES
from voltween.cohorts import Case, cases_of_split, draw_pairs, ordered_pairs
from voltween.errors import InputError
from voltween.evaluation.comparison_folder import METHOD_NAMES_FILE
from voltween.evaluation.pair_work import EvaluationProtocol
from voltween.evaluation.paper.laboratory import Laboratory, RowMethods
from voltween.evaluation.paper.scales import PAPER_SHAPE, SCALES, ScaleName
from voltween.evaluation.paper.settings import ExperimentSettings
from voltween.evaluation.paper.table_file import PaperTable
from voltween.evaluation.paper.table_page import MeasuredTable, table_page
from voltween.evaluation.report.report_folder import write_report
from voltween.evaluation.runner import EvaluationInterrupted, evaluate
from voltween.evaluation.scores import Scores
from voltween.storage import output_folder, whole_file
from voltween.training import Hardware, StepReport, fit_box
from voltween.workers import Runner


@dataclass(frozen=True)
class Observer:
    """Progress callbacks of an experiment."""

    on_training: Callable[[str], None] = lambda name: None
    on_step: Callable[[StepReport], None] = lambda report: None


@dataclass(frozen=True)
class ExperimentRun:
    """Scale, settings and resources of an experiment."""

    scale: ScaleName = "small"
    settings: ExperimentSettings = field(default_factory=ExperimentSettings)
    """Changes to the scale; they replace those of the table."""
    max_pairs: int = 0
    """Number of pairs to measure, drawn with a fixed seed; 0 for all."""
    keep_transforms: bool = False
    """Keep the transforms of all pairs, to draw figures from."""
    hardware: Hardware | None = None
    """Devices to train with; one if not given."""
    time_limit_minutes: float = TIME_LIMIT_MINUTES
    """Time that another tool gets for a pair."""
    observer: Observer = field(default_factory=Observer)
    runner: Runner = field(default_factory=Runner)
    """The runner of the pairs, whose engine also aligns scans."""


def run_experiment(
    table: PaperTable,
    cases: Sequence[Case],
    *,
    out: Path,
    run: ExperimentRun = ExperimentRun(),
) -> str:
    """Trains and compares all rows on pairs of `test` cases; returns the table.

    The table is Markdown, with the published numbers beside the measured ones. A row
    that fails is a note in it. An interrupted run continues. The folder of the table's
    name in `out` gets the report of a comparison, and table.md.

    Raises:
        InputError: If the cases cannot be used.
        OutputError: If `out` cannot be written to.
    """
    settings = table.settings.changed_by(run.settings)
    measured = measured_cases(cases, settings)
    laboratory = open_laboratory(table, cases, out=out, run=run)
    rows = [laboratory.methods(row) for row in table.rows]
    names = [case.name for case in measured]
    pairs = draw_pairs(ordered_pairs(names), run.max_pairs)
    # A table of tools alone needs no training cases.
    boxes = [case for case in cases if case.split == "train"] or measured
    protocol = EvaluationProtocol(
        keep_transforms=run.keep_transforms,
        landmark_voxel_mm=fit_box(boxes, PAPER_SHAPE).spacing_mm,
    )

    def write(scores: Scores) -> str:
        page = table_page(MeasuredTable(table, scores, settings.split or "test"))
        _write(table, scores, page, laboratory.out / table.name)
        return page

    try:
        scores = evaluate(
            _all_methods(rows),
            measured,
            pairs=pairs,
            out=laboratory.out,  # all tables share one folder of finished pairs
            protocol=protocol,
            runner=run.runner,
        )
    except EvaluationInterrupted as stop:
        write(stop.scores)
        raise
    return write(scores)


def open_laboratory(
    table: PaperTable, cases: Sequence[Case], *, out: Path, run: ExperimentRun
) -> Laboratory:
    """The laboratory that trains the networks of a table.

    Raises:
        InputError: If the cases cannot be used.
    """
    settings = table.settings.changed_by(run.settings)
    return Laboratory(
        tuple(cases),
        SCALES[run.scale].changed_by(settings),
        out / run.scale,
        measured_cases(cases, settings),
        atlas=settings.atlas,
        hardware=run.hardware,
        time_limit_minutes=run.time_limit_minutes,
        engine=run.runner.engine,
        on_training=run.observer.on_training,
        on_step=run.observer.on_step,
    )


def measured_cases(
    cases: Sequence[Case], settings: ExperimentSettings
) -> tuple[Case, ...]:
    """The cases that a table is measured on.

    Raises:
        InputError: If there are fewer than two, or one has neither labels nor points.
    """
    split = settings.split or "test"
    count = sum(case.split == split for case in cases)
    if count < 2:
        raise InputError(
            about="cohort",
            expected=f"at least two `{split}` cases, which chose no model, to measure",
            got=count,
            advice="divide it with `voltween split MANIFEST --val 0.1 --test 0.2 "
            "--seed 1 --out FILE`",
        )
    measured = cases_of_split(cases, split)
    if bare := [c.name for c in measured if c.labels is None and c.points is None]:
        raise InputError(
            about=f"`{split}` cases",
            expected="labels or points of every case, to measure overlap or landmarks",
            got=f"neither for {', '.join(bare[:5])}" + (" ..." if bare[5:] else ""),
            advice="name them in the manifest's columns labels or points",
        )
    return measured


def _all_methods(rows: Sequence[RowMethods]) -> list[Any]:
    on_gpu = [row.on_gpu for row in rows if row.on_gpu is not None]
    return [*(row.method for row in rows), *on_gpu]


def _write(table: PaperTable, scores: Scores, page: str, folder: Path) -> None:
    with whole_file(output_folder(folder) / "table.md") as partial:
        partial.write_text(page + "\n", encoding="utf-8")
    names = {row.name: row.method_name for row in table.rows}
    with whole_file(folder / METHOD_NAMES_FILE) as partial:
        partial.write_text(json.dumps(names, indent=1), encoding="utf-8")
    write_report(_with_row_names(scores, table), folder)


def _with_row_names(scores: Scores, table: PaperTable) -> Scores:
    """The scores of the rows, with the names of the rows."""
    names = {row.method_name: row.name for row in table.rows}

    def rename(parts: Any) -> Any:
        of_rows = (score for score in parts if score.method in names)
        return tuple(replace(score, method=names[score.method]) for score in of_rows)

    return Scores(
        rename(scores.pairs), rename(scores.structures), rename(scores.stages)
    )

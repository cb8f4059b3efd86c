"""The folder of a comparison: scores as CSV, tables for papers, plots."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from voltween.errors import InputError, MissingPackageError
from voltween.evaluation.report.index_page import write_comparison_index
from voltween.evaluation.report.pages import latex_page, markdown_page
from voltween.evaluation.report.summaries import (
    COSTS,
    QUALITIES,
    Comparison,
    CsvRow,
    MethodSummary,
    comparisons,
    stage_rows,
    structure_rows,
    summary_rows,
)
from voltween.evaluation.scores import Scores
from voltween.process import require
from voltween.reports import INDEX
from voltween.storage import check_is_no_input, csv_text, output_folder, whole_file

_DOTS_PER_INCH = 200
_PLOTS = ("boxplots", "structures", "time_accuracy")
_TABLES = (
    *("pairs", "structures", "stages", "comparisons"),
    *("summary", "summary_structures", "summary_stages"),
)
_FILES = (
    *(f"{name}.csv" for name in _TABLES),
    *(f"{name}.png" for name in _PLOTS),
    *("summary.md", "summary.tex", INDEX),
)


def check_report_folder(out: Path) -> None:
    """Checks that a report may be written to a folder, before pairs are measured.

    Raises:
        InputError: If one of its files is an input of the command.
    """
    for name in _FILES:
        check_is_no_input(out / name)


def write_report(scores: Scores, out: Path) -> None:
    """Writes all tables and plots of the scores to a folder, each file whole.

    Files without data are not written, and those of an earlier report are deleted.
    Without Matplotlib there are no plots, with one warning.

    Raises:
        InputError: If there are no pairs, or a file is an input of the command.
        OutputError: If the folder cannot be written to.
    """
    if not scores.pairs:
        raise InputError(about=out, expected="scores of pairs to report", got="none")
    check_report_folder(out)
    folder = output_folder(out)
    rows = summary_rows(scores)
    compared = comparisons(scores, rows)
    for name, table in _csv_tables(scores, rows, compared).items():
        _write_csv(folder / f"{name}.csv", table)
    with whole_file(folder / "summary.md") as partial:
        partial.write_text(markdown_page(scores, rows, compared), encoding="utf-8")
    with whole_file(folder / "summary.tex") as partial:
        partial.write_text(latex_page(scores, rows, compared), encoding="utf-8")
    write_comparison_index(scores.pairs, folder)
    try:
        require("matplotlib", extra="report", purpose="plots of the report")
    except MissingPackageError as error:
        for name in _PLOTS:
            (folder / f"{name}.png").unlink(missing_ok=True)
        warnings.warn(f"{out}: written without plots: {error}", stacklevel=2)
    else:
        _write_plots(scores, rows, folder)


def _write_plots(scores: Scores, rows: Sequence[MethodSummary], folder: Path) -> None:
    from matplotlib import rc_context  # optional, and 0.5 s to import

    from voltween.evaluation.report.overlap_plots import (
        overlap_figure,
        structure_figure,
    )
    from voltween.evaluation.report.time_plot import time_figure

    with rc_context({"text.parse_math": False}):  # names may contain dollar signs
        figures = (overlap_figure(scores), structure_figure(scores), time_figure(rows))
    for name, figure in zip(_PLOTS, figures, strict=True):
        path = folder / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        with whole_file(path) as partial:
            figure.savefig(partial, format="png", dpi=_DOTS_PER_INCH)


def _csv_tables(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> dict[str, list[CsvRow]]:
    return {
        "pairs": [asdict(score) for score in scores.pairs],
        "structures": [asdict(score) for score in scores.structures],
        "stages": [asdict(score) for score in scores.stages],
        "summary": [_summary_row(row) for row in rows],
        "summary_structures": structure_rows(scores),
        "summary_stages": stage_rows(scores),
        "comparisons": [_comparison_row(comparison) for comparison in compared],
    }


def _summary_row(row: MethodSummary) -> CsvRow:
    """The row of summary.csv: all estimates of qualities, the median of costs."""
    flat: CsvRow = {
        "method": row.method,
        "pairs_ok": row.pairs_ok,
        "pairs_failed": row.pairs_failed,
        **{f"verdict_{grade}": number for grade, number in row.verdicts.items()},
    }
    for field in QUALITIES:
        of_field = asdict(row.estimates[field])
        flat |= {f"{field}_{name}": value for name, value in of_field.items()}
    flat |= {f"{field}_median": row.estimates[field].median for field in COSTS}
    return flat | {"note": row.reason}


def _comparison_row(comparison: Comparison) -> CsvRow:
    return {
        "method": comparison.method,
        "reference": comparison.reference,
        "reference_is": comparison.reference_is,
        "measure": comparison.measure,
        **asdict(comparison.test),
        "p_holm": comparison.p_holm,
        "note": comparison.note,
    }


def _write_csv(path: Path, rows: Sequence[CsvRow]) -> None:
    """Writes rows, with NaN as empty; without rows it deletes an earlier file."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    values = [[_or_empty(row[name]) for name in rows[0]] for row in rows]
    with whole_file(path) as partial:
        text = csv_text(list(rows[0]), values, line_ending="\r\n")
        partial.write_bytes(text.encode())


def _or_empty(value: str | int | float) -> str | int | float:
    return "" if isinstance(value, float) and math.isnan(value) else value

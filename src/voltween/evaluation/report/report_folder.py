"""The folder of a comparison: numbers as CSV, tables for papers, pictures."""

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from voltween.errors import InputError
from voltween.evaluation.report.pages import latex_page, markdown_page
from voltween.evaluation.report.summaries import (
    COSTS,
    QUALITIES,
    Comparison,
    MethodSummary,
    Row,
    comparisons,
    stage_rows,
    structure_rows,
    summary_rows,
)
from voltween.evaluation.scores import Scores
from voltween.files import output_folder, whole_file

_DOTS_PER_INCH = 200


def write_report(scores: Scores, out: Path) -> None:
    """Write all tables and pictures of the scores to a folder, each whole.

    Of what nothing was measured there is no file, not one of a former report either.

    Raises:
        InputError: If there are no pairs or the folder cannot be written to.
    """
    if not scores.pairs:
        raise InputError(f"{out}: no report: expected scores of pairs, got none")
    folder = output_folder(out)
    rows = summary_rows(scores)
    compared = comparisons(scores, rows)
    for name, table in _csv_tables(scores, rows, compared).items():
        _write_csv(folder / f"{name}.csv", table)
    with whole_file(folder / "summary.md") as partial:
        partial.write_text(markdown_page(scores, rows, compared), encoding="utf-8")
    with whole_file(folder / "summary.tex") as partial:
        partial.write_text(latex_page(scores, rows, compared), encoding="utf-8")
    _write_pictures(scores, rows, folder)


def _write_pictures(
    scores: Scores, rows: Sequence[MethodSummary], folder: Path
) -> None:
    from matplotlib import rc_context  # 0.5 s, needed here alone

    from voltween.evaluation.report.overlap_plots import (
        overlap_figure,
        structure_figure,
    )
    from voltween.evaluation.report.time_plot import time_figure

    with rc_context({"text.parse_math": False}):  # a name may have dollar signs
        figures = {
            "boxplots": overlap_figure(scores),
            "structures": structure_figure(scores),
            "time_accuracy": time_figure(rows),
        }
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        with whole_file(path) as partial:
            figure.savefig(partial, format="png", dpi=_DOTS_PER_INCH)


def _csv_tables(
    scores: Scores, rows: Sequence[MethodSummary], compared: Sequence[Comparison]
) -> dict[str, list[Row]]:
    return {
        "pairs": [asdict(score) for score in scores.pairs],
        "structures": [asdict(score) for score in scores.structures],
        "stages": [asdict(score) for score in scores.stages],
        "summary": [_summary_row(row) for row in rows],
        "summary_structures": structure_rows(scores),
        "summary_stages": stage_rows(scores),
        "comparisons": [_comparison_row(comparison) for comparison in compared],
    }


def _summary_row(row: MethodSummary) -> Row:
    """The row of summary.csv: of qualities all that is known, of costs the median."""
    flat: Row = {
        "method": row.method,
        "pairs_ok": row.pairs_ok,
        "pairs_failed": row.pairs_failed,
    }
    for field in QUALITIES:
        of_field = asdict(row.estimates[field])
        flat |= {f"{field}_{name}": value for name, value in of_field.items()}
    flat |= {f"{field}_median": row.estimates[field].median for field in COSTS}
    return flat | {"note": row.reason}


def _comparison_row(comparison: Comparison) -> Row:
    return {
        "method": comparison.method,
        "reference": comparison.reference,
        "reference_is": comparison.reference_is,
        "measure": comparison.measure,
        **asdict(comparison.test),
        "p_holm": comparison.p_holm,
        "note": comparison.note,
    }


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows, NaN as nothing; without rows no file may stay from before."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    with (
        whole_file(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({key: _or_empty(value) for key, value in row.items()})


def _or_empty(value: str | int | float) -> str | int | float:
    return "" if isinstance(value, float) and math.isnan(value) else value

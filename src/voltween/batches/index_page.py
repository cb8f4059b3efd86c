"""The pages of a cohort: its pairs, worst first, with pictures and reports."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from voltween.batches.scores import GRADES
from voltween.batches.tables import PairRow, rows_of, write_tables
from voltween.batches.work import Work
from voltween.reports import INDEX, IndexRow, write_index

_NUMBERS = ("similarity", "dice", "folding_percent", "seconds")
_MISSING = "not registered yet: repeat the command to continue"


def write_pages(works: Iterable[Work], out: Path) -> list[PairRow]:
    """Writes pairs.csv, summary.md and index.html of a cohort as far as it is done.

    Returns the rows, worst first.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    rows = rows_of(works, out)
    write_tables(rows, out)
    _write_index(rows, out)
    return rows


def _write_index(rows: Iterable[PairRow], out: Path) -> None:
    title = f"Cohort, {out.resolve().name}"
    write_index([_index_row(row, out) for row in rows], out / INDEX, title=title)


def _index_row(row: PairRow, out: Path) -> IndexRow:
    if row.state != "done":
        folder = out / row.folder if row.folder else None
        error = row.error or _MISSING
        return IndexRow(fixed=row.fixed, moving=row.moving, error=error, report=folder)
    report = out / row.report
    numbers: dict[str, Any] = {n: _number(row.scores.get(n)) for n in _NUMBERS}
    return IndexRow(
        fixed=row.fixed,
        moving=row.moving,
        verdict=row.grade if row.grade in GRADES else "",  # type: ignore[arg-type]
        reasons=str(row.scores.get("reasons") or ""),
        **numbers,
        thumbnail=out / row.thumbnail if row.thumbnail else None,
        report=report if report.is_file() else out / row.folder,
    )


def _number(value: str | float | None) -> float:
    return float(value) if isinstance(value, int | float) else math.nan

"""`index.html`: the table of all pairs, worst first, in which a reader marks them."""

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

from voltween.reports.index_rows import GRADES, IndexRow, worst_first
from voltween.reports.pages import render
from voltween.reports.strip_plots import strip_plots
from voltween.storage import whole_file

INDEX = "index.html"
"""Name of the page in the folder of a cohort or a comparison."""


@dataclass(frozen=True)
class _Cell:
    """A measure as shown, and as sorted."""

    text: str
    value: str
    """Empty where there is none."""


@dataclass(frozen=True)
class _Failure:
    """A line, and the pairs that have no result because of it."""

    line: str
    rows: tuple[tuple[int, IndexRow], ...]


_FORMATS = {
    "similarity": ("Similarity", ".3f"),
    "dice": ("Dice", ".3f"),
    "landmark_mm": ("TRE, mm", ".3g"),
    "folding_percent": ("Folding, %", ".3g"),
    "seconds": ("Time, s", ".3g"),
}


def write_index(rows: Sequence[IndexRow], path: Path, *, title: str) -> None:
    """Writes the page of all pairs: a table, worst first, plots, and the failures.

    The page is one file beside the pictures and reports that it names relative to
    itself: it opens from disk, and a folder that is moved as a whole stays readable.

    Args:
        rows: One row per pair and method, in any order.
        path: The page, such as `DIR/index.html`.
        title: Its title, such as the name of the cohort.

    Raises:
        InputError: If the page is an input of the command.
        OutputError: If it cannot be written.
    """
    page = index_page(rows, path.parent, title=title)
    with whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def index_page(rows: Sequence[IndexRow], folder: Path, *, title: str) -> str:
    """Returns the HTML of `write_index`, with links relative to the folder."""
    ordered = worst_first(rows)
    counts = Counter(row.grade for row in ordered)
    fixed = {row.fixed for row in ordered}
    columns = {
        name: words
        for name, words in _FORMATS.items()
        if any(math.isfinite(getattr(row, name)) for row in ordered)
    }
    thumbnails = [_link(row.thumbnail, folder) for row in ordered]
    reports = [_link(row.report, folder) for row in ordered]
    return render(
        "index.html",
        title=title,
        rows=ordered,
        counts={grade: counts[grade] for grade in GRADES if counts[grade]},
        only_fixed=fixed.pop() if len(fixed) == 1 else None,
        methods=sorted({row.method for row in ordered if row.method}),
        failures=_failures(ordered),
        plots=strip_plots(ordered),
        headings=[heading for heading, _ in columns.values()],
        cells=[
            [_cell(getattr(row, n), form) for n, (_, form) in columns.items()]
            for row in ordered
        ],
        thumbnails=thumbnails,
        has_pictures=any(thumbnails),
        reports=reports,
        has_reports=any(reports),
    )


def _cell(value: float, form: str) -> _Cell:
    return (
        _Cell(f"{value:{form}}", repr(value)) if math.isfinite(value) else _Cell("", "")
    )


def _failures(rows: Sequence[IndexRow]) -> list[_Failure]:
    """The lines of pairs without a result, each once, with its pairs."""
    by_line: dict[str, list[tuple[int, IndexRow]]] = {}
    for number, row in enumerate(rows):
        if row.error:
            by_line.setdefault(row.error, []).append((number, row))
    return [_Failure(line, tuple(of_line)) for line, of_line in by_line.items()]


def _link(path: Path | None, folder: Path) -> str:
    """The address of an existing file relative to the folder; else empty."""
    if path is None or not path.exists():
        return ""
    relative = Path(os.path.relpath(path, folder)).as_posix()
    return quote_from_bytes(os.fsencode(relative))

"""The tables of a cohort: one row per pair, worst first, and a summary to read."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voltween.batches.scores import GRADES, Scores
from voltween.batches.work import Work, stored_pair
from voltween.storage import csv_text, markdown, write_if_changed

PAIRS, SUMMARY = "pairs.csv", "summary.md"
_SCORES = (
    *("verdict", "reasons", "similarity", "similarity_before", "dice", "dice_before"),
    *("landmark_mm", "landmark_mm_before"),
    *("folding_percent", "sd_log_jacobian", "inverse_error_95_mm", "model"),
    *("warnings", "seconds", "threads"),
)
_COLUMNS = ("name", "fixed", "moving", "state", *_SCORES, "error", "folder")
_SHOWN = 50  # pairs in one list of the summary


@dataclass(frozen=True)
class PairRow:
    """A pair of a cohort in its tables."""

    name: str
    fixed: str
    moving: str
    state: str
    """done, failed (not registered) or missing."""
    scores: Scores = field(default_factory=dict)
    error: str = ""
    """The reason why it failed, in one line."""
    folder: str = ""
    """The folder of its result, relative to that of the cohort; of a pair that failed,
    that of an earlier result."""
    report: str = ""
    """The page of the pair, relative to it as well."""
    thumbnail: str = ""
    """A small picture of the result, relative to it as well."""

    @property
    def grade(self) -> str:
        """The grade of the verdict; empty without one."""
        return str(self.scores.get("verdict") or "")

    @property
    def rank(self) -> tuple[int, int, float, str]:
        """The order of the tables: failures first, then by verdict and similarity."""
        grades = {grade: n for n, grade in enumerate(GRADES)}
        similarity = self.scores.get("similarity")
        number = similarity if isinstance(similarity, int | float) else -math.inf
        states = {"failed": 0, "done": 1, "missing": 2}
        return states[self.state], grades.get(self.grade, 0), number, self.name


def rows_of(works: Iterable[Work], out: Path) -> list[PairRow]:
    """The rows of all pairs, worst first, as the records on disk have them."""
    rows = []
    for work in works:
        pair = work.name, work.fixed, work.moving
        state, values = stored_pair(out, work)
        scores = values.get("scores")
        paths = (str(values.get(n, "")) for n in ("folder", "report", "thumbnail"))
        error = str(values.get("error", ""))
        if state == "failed" and values.get("folder"):
            error += f" ({values['folder']} has the result of earlier files or options)"
        rows.append(
            PairRow(
                *pair,
                state,
                scores if isinstance(scores, dict) else {},
                error,
                *paths,
            )
        )
    return sorted(rows, key=lambda row: row.rank)


def write_tables(rows: Sequence[PairRow], out: Path) -> None:
    """Writes pairs.csv and summary.md.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    cells = [
        [row.name, row.fixed, row.moving, row.state]
        + [_cell(row.scores.get(name)) for name in _SCORES]
        + [row.error, row.folder]
        for row in rows
    ]
    write_if_changed(out / PAIRS, csv_text(_COLUMNS, cells))
    write_if_changed(out / SUMMARY, summary(rows))


def summary(rows: Sequence[PairRow]) -> str:
    """The summary in Markdown: counts, figures, and the pairs to look at."""
    done = [row for row in rows if row.state == "done"]
    lines = ["# Cohort", "", _counts(rows), ""]
    if done:
        lines += ["| figure | worst | median | best |", "|---|---|---|---|"]
        lines += _figure_rows(done)
        lines.append("")
    failed = [row for row in rows if row.state == "failed"]
    lines += _list("Pairs that could not be registered", failed)
    for grade in GRADES[:2]:
        graded = [row for row in done if row.grade == grade]
        lines += _list(f"Verdict {grade}", graded)
    return "\n".join(lines).rstrip() + "\n"


def _counts(rows: Sequence[PairRow]) -> str:
    states = Counter(row.state for row in rows)
    grades = Counter(row.grade for row in rows if row.state == "done")
    verdicts = ", ".join(f"{grades[grade]} {grade}" for grade in reversed(GRADES))
    text = (
        f"{states['done']} of {len(rows)} pairs are registered; verdicts: {verdicts}."
    )
    if states["failed"]:
        text += f" {states['failed']} could not be registered."
    if states["missing"]:
        text += f" {states['missing']} are missing: repeat the command to continue."
    return text


def _figure_rows(done: Sequence[PairRow]) -> list[str]:
    """Worst, median and best of the figures that tell pairs apart."""
    figures = {
        "similarity": ("similarity", True),
        "Dice": ("dice", True),
        "distance of landmarks, mm": ("landmark_mm", False),
        "folding, %": ("folding_percent", False),
        "error of the inverse, 95 %, mm": ("inverse_error_95_mm", False),
        "seconds": ("seconds", False),
    }
    lines = []
    for title, (name, is_more_better) in figures.items():
        values = [row.scores.get(name) for row in done]
        numbers = sorted(float(v) for v in values if isinstance(v, int | float))
        if numbers:
            ends = (numbers[0], numbers[-1])
            worst, best = ends if is_more_better else ends[::-1]
            cells = (worst, statistics.median(numbers), best)
            shown = " | ".join(f"{cell:.3g}" for cell in cells)
            lines.append(f"| {title} | {shown} |")
    return lines


def _list(title: str, rows: Sequence[PairRow]) -> list[str]:
    if not rows:
        return []
    shown = [
        f"- {markdown(row.name)}: "
        f"{markdown(row.error or str(row.scores.get('reasons', '')))}"
        for row in rows[:_SHOWN]
    ]
    more = len(rows) - _SHOWN
    tail = [f"- and {more} more, see {PAIRS}"] if more > 0 else []
    return [f"## {title} ({len(rows)})", "", *shown, *tail, ""]


def _cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)

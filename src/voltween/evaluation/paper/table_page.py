"""A table of the paper as Markdown: measured numbers beside the published ones."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from voltween.evaluation.paper.table_file import PAPER_COLUMNS, PaperTable, TableRow
from voltween.evaluation.report.summaries import IDENTITY, MethodSummary, summary_rows
from voltween.evaluation.scores import Scores
from voltween.storage import markdown

_ANTS = "ants"
_PAPER_HEADINGS = (
    "paper: IoU",
    "paper: landmarks, voxels",
    "paper: s, GPU",
    "paper: s, CPU",
    "paper: times as fast as ANTs (GPU)",
)

Cells = Callable[[TableRow], str]


@dataclass(frozen=True)
class MeasuredTable:
    """A table with the scores of its rows, by the names of their methods."""

    table: PaperTable
    scores: Scores
    split: str
    """Split that was measured."""

    @cached_property
    def summaries(self) -> dict[str, MethodSummary]:
        """Summary of every method, by name."""
        return {row.method: row for row in summary_rows(self.scores)}

    def reason(self, row: TableRow) -> str:
        """Reason why a row has no measures; empty if it has some."""
        return self.summaries[row.method_name].reason

    def mean(self, row: TableRow, measure: str) -> float:
        """Mean of a measure over the pairs; NaN if there is none."""
        return self.summaries[row.method_name].estimates[measure].mean

    def seconds(self, row: TableRow) -> float:
        """Mean processor seconds per pair."""
        return self.mean(row, "processor_seconds")

    def gpu_seconds(self, row: TableRow) -> float:
        """Mean seconds per pair on a GPU; NaN without one."""
        summary = self.summaries.get(f"{row.method_name}, GPU")
        return summary.estimates["seconds"].mean if summary else math.nan

    def times_ants(self, row: TableRow) -> float:
        """Processor seconds of ANTs divided by those of the row; NaN without ANTs."""
        ants = self.summaries.get(_ANTS)
        is_comparable = row.method_name not in (_ANTS, IDENTITY)
        if ants is None or not is_comparable or not self.seconds(row) > 0:
            return math.nan
        return ants.estimates["processor_seconds"].mean / self.seconds(row)


def table_page(measured: MeasuredTable) -> str:
    """The table in Markdown, without columns that have no measures."""
    rows = measured.table.rows
    columns = {
        heading: cells
        for heading, cells in _columns(measured).items()
        if any(cells(row) for row in rows)
    }
    headings = ("method", *columns, *_PAPER_HEADINGS)
    lines = [
        f"## {markdown(measured.table.title)}",
        "",
        _sentence(measured),
        "",
        f"| {' | '.join(headings)} |",
        "|---" * len(headings) + "|",
    ]
    for row in rows:
        cells = [cell(row) for cell in columns.values()]
        if reason := measured.reason(row):
            cells[:1] = [markdown(reason)]
        published = [_number(row.paper.get(name)) for name in PAPER_COLUMNS]
        published.append(_published_ratio(row, rows))
        lines.append(f"| {' | '.join((markdown(row.name), *cells, *published))} |")
    return "\n".join(lines)


def _published_ratio(row: TableRow, rows: Sequence[TableRow]) -> str:
    """The published speed relative to ANTs on its CPU."""
    ants = next((r.paper["cpu_seconds"] for r in rows if r.method == _ANTS), None)
    if ants is None or row.method == _ANTS or "cpu_seconds" not in row.paper:
        return ""
    ratio = f"{ants / row.paper['cpu_seconds']:.3g}"
    if "gpu_seconds" in row.paper:
        ratio += f" ({ants / row.paper['gpu_seconds']:.0f})"
    return ratio


def _columns(measured: MeasuredTable) -> dict[str, Cells]:
    """Headings and the cells below them, empty where nothing was measured."""

    def mean(measure: str, form: str) -> Cells:
        return lambda row: _shown(measured.mean(row, measure), form)

    columns: dict[str, Cells] = {
        "IoU (95 % interval)": lambda row: _with_interval(measured, row),
        "IoU of union": mean("iou_union", ".3f"),
        "Dice": mean("dice", ".3f"),
        "landmarks, mm": mean("landmark_fixed_mm", ".2f"),
        "landmarks, voxels": mean("landmark_voxels", ".2f"),
        "s, CPU": lambda row: _shown(measured.seconds(row), ".3g"),
        "s, GPU": lambda row: _shown(measured.gpu_seconds(row), ".3g"),
        "times as fast as ANTs": lambda row: _shown(measured.times_ants(row), ".3g"),
    }
    if not measured.table.iou_union:
        del columns["IoU of union"]
    return columns


def _sentence(measured: MeasuredTable) -> str:
    """Number and split of the measured pairs."""
    pairs = {(score.fixed, score.moving) for score in measured.scores.pairs}
    cases = {name for pair in pairs for name in pair}
    count = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    text = (
        f"{count} of {len(cases)} `{measured.split}` cases. Seconds on a "
        "CPU are processor seconds, means over pairs."
    )
    if measured.split == "val":
        text += " These cases chose the checkpoints of the networks."
    return text


def _with_interval(measured: MeasuredTable, row: TableRow) -> str:
    iou = measured.summaries[row.method_name].estimates["iou"]
    if math.isnan(iou.mean):
        return ""
    if math.isnan(iou.ci_low):
        return f"{iou.mean:.3f}"
    return f"{iou.mean:.3f} ({iou.ci_low:.3f} to {iou.ci_high:.3f})"


def _shown(value: float, form: str) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if form == ".3g" and value >= 100 else f"{value:{form}}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"

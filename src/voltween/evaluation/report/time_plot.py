"""Plot of accuracy against time."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from voltween.evaluation.report.overlap_plots import method_colors
from voltween.evaluation.report.summaries import IDENTITY, MethodSummary, short_names

_LINE_OF_TEXT = 0.06  # share of the height of the axes
_MARGIN = 1.2  # factor beyond whole decades, so that no point is cut off


def time_figure(rows: Sequence[MethodSummary]) -> Figure | None:
    """Plot of mean IoU against time; None if no method has both."""
    if not _timed(rows):
        return None
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    draw_time_accuracy(figure.subplots(), rows)
    return figure


def draw_time_accuracy(axes: Axes, rows: Sequence[MethodSummary]) -> None:
    """Draws one point per method: median seconds, mean IoU with its 95 % interval.

    The names are listed at the right margin, each joined to its point by a line. The
    identity takes no time, so its IoU is a dashed horizontal line.
    """
    colors = method_colors([row.method for row in rows])
    points: dict[str, tuple[float, float]] = {}
    for row in _timed(rows):
        seconds, iou = row.estimates["seconds"].median, row.estimates["iou"]
        ends = [[iou.mean - iou.ci_low], [iou.ci_high - iou.mean]]
        axes.errorbar(
            seconds,
            iou.mean,
            yerr=None if math.isnan(iou.ci_low) else ends,
            fmt="o",
            capsize=3,
            color=colors[row.method],
        )
        points[row.method] = seconds, iou.mean
    _set_decades(axes, [seconds for seconds, _ in points.values()])
    for row in rows:
        if row.method == IDENTITY and row.estimates["iou"].pairs:
            iou_before = row.estimates["iou"].mean
            axes.axhline(
                iou_before, linestyle="--", color=colors[row.method], linewidth=1
            )
            points[row.method] = axes.get_xlim()[1], iou_before
    axes.set(xlabel="median time per pair (s)", ylabel="mean IoU")
    axes.grid(alpha=0.3)
    _name_points(axes, points, colors)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights from 0 to 1 in the order of the wanted heights, at least a gap apart.

    Below 0 only if there is no room for all.
    """
    order = sorted(range(len(wanted)), key=lambda n: wanted[n])
    heights = list(wanted)
    for lower, upper in pairwise(order):
        heights[upper] = max(heights[upper], heights[lower] + gap)
    top = 1.0
    for n in reversed(order):
        heights[n] = min(heights[n], top)
        top = heights[n] - gap
    return heights


def _timed(rows: Sequence[MethodSummary]) -> list[MethodSummary]:
    """Methods with a positive time and a measured IoU."""
    return [
        row
        for row in rows
        if row.method != IDENTITY
        and row.estimates["seconds"].median > 0
        and row.estimates["iou"].pairs
    ]


def _set_decades(axes: Axes, seconds: Sequence[float]) -> None:
    """Sets a logarithmic axis of whole decades, so that at least two have labels."""
    axes.set_xscale("log")
    first = math.floor(math.log10(min(seconds)))
    last = math.ceil(math.log10(max(seconds)))
    axes.set_xlim(10.0**first / _MARGIN, 10.0 ** max(last, first + 1) * _MARGIN)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_points(
    axes: Axes,
    points: Mapping[str, tuple[float, float]],
    colors: Mapping[str, str],
) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # otherwise the axis could still grow
    wanted = [(y - low) / (high - low) for _, y in points.values()]
    names = short_names(points)
    for (method, point), height in zip(
        points.items(), spread(wanted, _LINE_OF_TEXT), strict=True
    ):
        axes.annotate(
            names[method],
            point,
            (1.04, height),
            textcoords="axes fraction",
            verticalalignment="center",
            fontsize=8,
            arrowprops={
                "arrowstyle": "-",
                "color": colors[method],
                "linewidth": 0.6,
                "relpos": (0, 0.5),
                "shrinkB": 3,
            },
        )

"""Box plots of overlap by method, and by structure and method."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from voltween.evaluation.report.summaries import (
    IDENTITY,
    methods_of,
    short_names,
    values_of,
)
from voltween.evaluation.scores import Scores

MOST_LABELS = 20
# Colors that color-blind readers can tell apart (Okabe and Ito).
_COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7"),
    *("#D55E00", "#56B4E9", "#8C6BB1", "#F0E442"),
)
GRAY = "#888888"
_GOLDEN = 0.618  # multiples of this share never coincide


def overlap_figure(scores: Scores) -> Figure | None:
    """Box plots of Dice and IoU of all pairs by method; None without measures."""
    dice, iou = _by_method(scores, "dice"), _by_method(scores, "iou")
    if not dice and not iou:
        return None
    width = 1.5 + max(len(dice), len(iou)) * 1.1
    figure = Figure(figsize=(max(5.0, width), 3.4), layout="constrained")
    colors = method_colors(methods_of(scores))
    for axes, values, words in zip(
        figure.subplots(1, 2), (dice, iou), ("Dice", "IoU"), strict=True
    ):
        draw_boxes(axes, values, colors)
        axes.set_ylabel(f"{words}, mean over structures")
    return figure


def draw_boxes(
    axes: Axes, values: Mapping[str, Sequence[float]], colors: Mapping[str, str]
) -> None:
    """Draws one box per method, in the given order, with its values as points.

    If the methods differ in their number of values, their labels give the number.
    """
    counts = {method: len(numbers) for method, numbers in values.items()}
    labels = short_names(values)
    if len(set(counts.values())) > 1:
        labels = {m: f"{name}\n(n = {counts[m]})" for m, name in labels.items()}
    for position, (method, numbers) in enumerate(values.items(), start=1):
        color = colors[method]
        _box(axes, numbers, float(position), width=0.6, color=color, has_circles=False)
        shares = np.arange(len(numbers)) * _GOLDEN % 1 - 0.5
        axes.scatter(
            position + 0.4 * shares,
            numbers,
            s=8,
            color="black",
            alpha=0.5,
            linewidth=0,
            zorder=3,
        )
    axes.set_xticks(range(1, len(values) + 1), list(labels.values()))
    axes.tick_params("x", rotation=30, labelsize=8)
    for label in axes.get_xticklabels():
        label.set(
            horizontalalignment="right",
            multialignment="right",
            rotation_mode="anchor",
        )
    axes.grid(axis="y", alpha=0.3)


def structure_figure(scores: Scores) -> Figure | None:
    """Box plots of Dice per label and method; None for no or over 20 labels."""
    values = _by_label(scores)
    labels = {label for of_method in values.values() for label in of_method}
    if not labels or len(labels) > MOST_LABELS:
        return None
    width = 1.5 + 0.15 * len(labels) * (len(values) + 1)
    figure = Figure(figsize=(max(5.0, width), 3.4), layout="constrained")
    draw_structures(figure.subplots(), values, method_colors(methods_of(scores)))
    return figure


def draw_structures(
    axes: Axes,
    values: Mapping[str, Mapping[int, Sequence[float]]],
    colors: Mapping[str, str],
) -> None:
    """Draws one group of boxes per label, with one box per method."""
    labels = sorted({label for of_method in values.values() for label in of_method})
    width = 0.8 / len(values)
    for n, (method, of_method) in enumerate(values.items()):
        for label, numbers in of_method.items():
            _box(
                axes,
                numbers,
                labels.index(label) + (n + 0.5) * width - 0.4,
                width=0.8 * width,
                color=colors[method],
                has_circles=True,
            )
    axes.set_xticks(range(len(labels)), [str(label) for label in labels])
    axes.set(xlabel="label", ylabel="Dice", xlim=(-0.6, len(labels) - 0.4))
    axes.grid(axis="y", alpha=0.3)
    names = short_names(values)
    axes.legend(
        handles=[Patch(color=colors[m], alpha=0.6, label=names[m]) for m in values],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=8,
    )


def method_colors(methods: Sequence[str]) -> dict[str, str]:
    """One color per method, the same in all plots of a report; identity is gray."""
    others = [method for method in methods if method != IDENTITY]
    colors = {m: _COLORS[n % len(_COLORS)] for n, m in enumerate(others)}
    return colors | {IDENTITY: GRAY}


def _by_method(scores: Scores, field: str) -> dict[str, list[float]]:
    """The values of every method that has any."""
    values: dict[str, list[float]] = {}
    for method in methods_of(scores):
        for value in values_of(scores, method, field).values():
            if not math.isnan(value):
                values.setdefault(method, []).append(value)
    return values


def _by_label(scores: Scores) -> dict[str, dict[int, list[float]]]:
    """Dice by method and label, where measured."""
    values: dict[str, dict[int, list[float]]] = {}
    for score in scores.structures:
        if not math.isnan(score.dice):
            of_method = values.setdefault(score.method, {})
            of_method.setdefault(score.label, []).append(score.dice)
    return values


def _box(
    axes: Axes,
    numbers: Sequence[float],
    position: float,
    *,
    width: float,
    color: str,
    has_circles: bool,
) -> None:
    """Draws a box, optionally with circles for values beyond its whiskers."""
    axes.boxplot(
        [list(numbers)],
        positions=[position],
        widths=width,
        showfliers=has_circles,
        patch_artist=True,
        boxprops={"facecolor": color, "alpha": 0.6, "linewidth": 0.8},
        medianprops={"color": "black"},
        whiskerprops={"linewidth": 0.8},
        capprops={"linewidth": 0.8},
        flierprops={"markersize": 3, "markeredgewidth": 0.6},
        manage_ticks=False,
    )

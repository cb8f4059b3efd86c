"""Plots of a report: boxes of overlap, and accuracy against time."""

from itertools import pairwise, permutations
from math import nan

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from support.scores import MODEL, of_method, pair_score, scores_of
from voltween.evaluation.report.overlap_plots import (
    draw_boxes,
    draw_structures,
    method_colors,
    overlap_figure,
    structure_figure,
)
from voltween.evaluation.report.summaries import summary_rows
from voltween.evaluation.report.time_plot import draw_time_accuracy, spread, time_figure
from voltween.evaluation.scores import StructureScore


def axes_of(draw, *content):
    axes = Figure().subplots()
    draw(axes, *content)
    return axes


def labels_of(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def test_boxes_have_all_their_points_and_the_median():
    values = {"ants": [0.2, 0.9, 0.4], "model:/a/x.safetensors": [0.7]}
    axes = axes_of(draw_boxes, values, method_colors(list(values)))
    assert labels_of(axes.xaxis) == ["ants\n(n = 3)", "model:x\n(n = 1)"]
    first, second = (points.get_offsets() for points in axes.collections)
    assert first[:, 1].tolist() == [0.2, 0.9, 0.4]
    assert (abs(first[:, 0] - 1) < 0.3).all()
    assert second[0].tolist() == pytest.approx([2 - 0.2, 0.7])
    medians = {tuple(line.get_ydata()) for line in axes.lines}
    assert (0.4, 0.4) in medians


def test_counts_are_not_said_where_all_have_as_many():
    axes = axes_of(draw_boxes, {"a": [1.0], "b": [0.5]}, method_colors(["a", "b"]))
    assert labels_of(axes.xaxis) == ["a", "b"]


def test_overlap_is_shown_of_methods_that_have_some(scores):
    dice, iou = overlap_figure(scores).axes
    for axes in (dice, iou):
        assert labels_of(axes.xaxis) == [
            "identity\n(n = 6)",
            "elastix\n(n = 5)",
            f"{MODEL}\n(n = 6)",
        ]
    values = dice.collections[1].get_offsets()[:, 1]
    assert values.tolist() == pytest.approx([0.72, 0.74, 0.76, 0.78, 0.80])
    assert iou.get_ylabel().startswith("IoU")


def test_structures_stand_beside_their_label():
    values = {"ants": {3: [0.1, 0.3], 9: [0.5]}, "elastix": {9: [0.8]}}
    axes = axes_of(draw_structures, values, method_colors(list(values)))
    assert labels_of(axes.xaxis) == ["3", "9"]
    boxes = [patch.get_path().get_extents() for patch in axes.patches]
    centers = [((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in boxes]
    assert np.allclose(centers, [(-0.2, 0.2), (0.8, 0.5), (1.2, 0.8)])
    legend = axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["ants", "elastix"]
    handles = [handle.get_facecolor()[:3] for handle in legend.get_patches()]
    assert handles == [patch.get_facecolor()[:3] for patch in axes.patches[1:]]


def structures_with(labels):
    return [
        StructureScore(method="ants", fixed="a", moving="b", label=label, dice=0.5)
        for label in range(labels)
    ]


def test_many_labels_are_not_drawn():
    pair = pair_score("ants", ("a", "b"), 0.5)
    assert structure_figure(scores_of(pair, structures=structures_with(20)))
    assert structure_figure(scores_of(pair, structures=structures_with(21))) is None
    missing = StructureScore(method="ants", fixed="a", moving="b", label=1)
    assert structure_figure(scores_of(pair, structures=[missing])) is None


def test_time_and_accuracy_of_methods_that_have_both(scores):
    axes = axes_of(draw_time_accuracy, summary_rows(scores))
    assert axes.get_xscale() == "log"
    assert axes.get_xlim() == pytest.approx((0.1 / 1.2, 10.0 * 1.2))
    names = {text.get_text(): text for text in axes.texts}
    assert list(names) == ["elastix", MODEL, "identity"]
    rows = {row.method: row.estimates for row in summary_rows(scores)}
    for method in ("elastix", MODEL):
        estimates = rows[method]
        point = estimates["seconds"].median, estimates["iou"].mean
        assert names[method].xy == pytest.approx(point)
    (dashed,) = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert set(dashed.get_ydata()) == {rows["identity"]["iou"].mean}


def test_error_bars_are_the_interval():
    pairs = list(permutations("abcde", 2))
    dice = np.linspace(0.6, 0.9, len(pairs))
    rows = summary_rows(scores_of(*of_method("ants", dice, pairs, seconds=5.0)))
    (bar,) = axes_of(draw_time_accuracy, rows).collections
    interval = rows[0].estimates["iou"]
    expected = [[5.0, interval.ci_low], [5.0, interval.ci_high]]
    assert np.allclose(bar.get_segments()[0], expected)


def test_without_time_or_overlap_there_is_no_picture_of_them():
    timed = scores_of(*of_method("ants", [nan] * 6, seconds=1.0))
    overlapping = scores_of(*of_method("ants", [0.5] * 6))
    doing_nothing = scores_of(*of_method("identity", [0.5] * 6, seconds=1e-6))
    for scores in (timed, overlapping, doing_nothing):
        assert time_figure(summary_rows(scores)) is None
    assert overlap_figure(timed) is None


def test_names_of_methods_alike_do_not_overlap():
    scores = scores_of(
        *(s for n in range(8) for s in of_method(f"m{n}", [0.8] * 6, seconds=1.0 + n))
    )
    figure = time_figure(summary_rows(scores))
    figure.draw_without_rendering()
    boxes = sorted(
        (Text.get_window_extent(text) for text in figure.axes[0].texts),
        key=lambda box: box.y0,
    )
    width, height = figure.canvas.get_width_height()
    assert boxes[0].y0 >= 0
    assert boxes[-1].y1 <= height
    assert width / 2 < max(box.x1 for box in boxes) <= width
    for lower, upper in pairwise(boxes):
        assert lower.y1 <= upper.y0


def test_spread_by_hand():
    assert spread([0.5, 0.1], 0.1) == [0.5, 0.1]
    assert spread([0.5, 0.5, 0.45], 0.1) == pytest.approx([0.55, 0.65, 0.45])
    assert spread([1.0, 0.98], 0.1) == pytest.approx([1.0, 0.9])

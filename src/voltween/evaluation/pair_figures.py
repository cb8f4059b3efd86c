"""Sections of one pair, one column per method: figures 8 to 13 of the VTN paper."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from voltween.errors import InputError
from voltween.evaluation.comparison import ComparedPair, MethodResult
from voltween.evaluation.report.summaries import short_names
from voltween.figures import PLANES
from voltween.figures.panels import (
    BOTH_COLOR,
    FIXED_COLOR,
    MOVED_COLOR,
    View,
    centered_view,
    draw_section,
    overlap_colors,
    structure_view,
    table_of_axes,
)
from voltween.metrics import corresponding_landmarks, landmark_distances_mm
from voltween.spatial import LabelMap, Points, labels_in_common

MOST_STRUCTURES = 3
_AROUND_LANDMARK_MM = 30.0


def structures_figure(pair: ComparedPair, structures: Sequence[int] = ()) -> Figure:
    """Draws two rows per structure: images with outlines; masks overlaid.

    Without a choice, it draws the three largest structures that both scans have.

    Raises:
        InputError: If a scan has no labels, the scans have none in common, or a scan
            lacks a label asked for.
    """
    fixed, moving = pair.fixed, pair.moving
    if fixed.labels is None or moving.labels is None:
        raise InputError(
            about=f"{fixed.name} and {moving.name}",
            expected="labels of both scans",
            got="none of one scan",
            advice="name them in the manifest's column labels",
        )
    shared = labels_in_common(fixed.labels, moving.labels)
    if absent := set(structures) - set(shared):
        raise InputError(
            about="structures",
            expected=f"labels of both scans, such as {list(shared[:20])}",
            got=sorted(absent),
        )
    chosen = structures or _largest(fixed.labels, shared)
    figure, axes = _table(pair, 2 * len(chosen))
    for n, label in enumerate(chosen):
        _draw_structure(axes[2 * n : 2 * n + 2], pair, label)
    handles = [
        Patch(color=FIXED_COLOR, label="fixed alone"),
        Patch(color=MOVED_COLOR, label="moved alone"),
        Patch(color=BOTH_COLOR, label="both"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def landmarks_figure(pair: ComparedPair, landmarks: Sequence[int] = ()) -> Figure:
    """Draws one row per landmark: the fixed scan, and where each method maps it to.

    The columns of the methods show the moving scan around its own landmark, because
    the distance is measured from there. Landmarks are numbered from 1; without a
    choice, it draws the first three.

    Raises:
        InputError: If a scan has no landmarks, they do not correspond, or one that is
            asked for is missing.
    """
    fixed, moving = pair.fixed.points, pair.moving.points
    if fixed is None or moving is None:
        raise InputError(
            about=f"{pair.fixed.name} and {pair.moving.name}",
            expected="landmarks of both scans",
            got="none of one scan",
            advice="name them in the manifest's column points",
        )
    if not min(len(fixed.mm), len(moving.mm)):
        raise InputError(
            about=f"{pair.fixed.name} and {pair.moving.name}",
            expected="landmarks of both scans",
            got="a file of points without any",
        )
    fixed, moving = corresponding_landmarks(fixed, moving)
    count = len(fixed.mm)
    chosen = landmarks or range(1, min(MOST_STRUCTURES, count) + 1)
    if absent := [n for n in chosen if not 1 <= n <= count]:
        raise InputError(
            about="landmarks", expected=f"numbers from 1 to {count}", got=absent
        )
    figure, axes = _table(pair, len(chosen))
    for row, number in zip(axes, chosen, strict=True):
        _draw_landmark(row, pair, (fixed, moving), number - 1)
    handles = [
        Line2D([], [], color=FIXED_COLOR, marker="x", ls="", label="landmark"),
        Line2D([], [], color=MOVED_COLOR, marker="+", ls="", label="fixed one, mapped"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def pair_title(pair: ComparedPair) -> str:
    """Title of a figure: the pair and the reason for its choice."""
    return f"{pair.moving.name} to {pair.fixed.name} ({pair.chosen})"


def _table(pair: ComparedPair, rows: int) -> tuple[Figure, np.ndarray]:
    names = short_names(pair.methods).values()
    return table_of_axes(pair_title(pair), ["fixed", *names], rows)


def _draw_structure(axes: np.ndarray, pair: ComparedPair, label: int) -> None:
    fixed, moving = pair.fixed, pair.moving
    assert fixed.labels is not None
    assert moving.labels is not None
    view = structure_view(fixed.labels, label)
    mask = view.mask(fixed.labels, label)
    draw_section(axes[0, 0], view.image(fixed.image), view, are_sides_named=True)
    draw_section(
        axes[1, 0],
        overlap_colors(mask, np.zeros_like(mask)),
        view,
        are_sides_named=False,
    )
    _outline(axes[0, 0], mask, view, FIXED_COLOR)
    axes[0, 0].set_ylabel(f"structure {label}", fontsize=9)
    for column, result in zip(axes.T[1:], pair.methods.values(), strict=True):
        transform = result.fixed_to_moving
        moved = view.mask(moving.labels, label, transform)
        image = view.image(moving.image, transform)
        draw_section(column[0], image, view, are_sides_named=False)
        _outline(column[0], mask, view, FIXED_COLOR)
        _outline(column[0], moved, view, MOVED_COLOR)
        draw_section(
            column[1], overlap_colors(mask, moved), view, are_sides_named=False
        )
        column[1].set_xlabel(_overlap_words(result, label), fontsize=8)


def _draw_landmark(
    axes: np.ndarray, pair: ComparedPair, points: tuple[Points, Points], index: int
) -> None:
    fixed, moving = points
    plane = PLANES[0]
    fixed_mm, moving_mm = fixed.mm[index : index + 1], moving.mm[index : index + 1]
    at_fixed = centered_view(
        plane, pair.fixed.image.grid, fixed_mm[0], _AROUND_LANDMARK_MM
    )
    at_moving = centered_view(
        plane, pair.moving.image.grid, moving_mm[0], _AROUND_LANDMARK_MM
    )
    draw_section(
        axes[0], at_fixed.image(pair.fixed.image), at_fixed, are_sides_named=True
    )
    _cross(axes[0], at_fixed.place(fixed_mm), "x", FIXED_COLOR)
    name = fixed.names[index] if fixed.names else f"landmark {index + 1}"
    axes[0].set_ylabel(name, fontsize=9)
    image = at_moving.image(pair.moving.image)
    for panel, result in zip(axes[1:], pair.methods.values(), strict=True):
        transform = result.fixed_to_moving
        both = Points(fixed_mm), Points(moving_mm)
        distance_mm = landmark_distances_mm(transform, *both)[0]
        draw_section(panel, image, at_moving, are_sides_named=False)
        _cross(panel, at_moving.place(moving_mm), "x", FIXED_COLOR)
        mapped = at_moving.place(transform.map_positions(fixed_mm))
        _cross(panel, mapped, "+", MOVED_COLOR)
        half = at_moving.half_mm
        panel.set(xlim=(-half, half), ylim=(-half, half))
        away = " (outside)" if np.abs(mapped).max() > half else ""
        panel.set_xlabel(f"{distance_mm:.1f} mm{away}", fontsize=8)


def _cross(
    axes: Axes, place_mm: Float[np.ndarray, "1 2"], marker: str, color: str
) -> None:
    (x, y), *_ = place_mm
    axes.plot(x, y, marker, color=color, markersize=10, markeredgewidth=2)


def _outline(axes: Axes, mask: Bool[np.ndarray, "h w"], view: View, color: str) -> None:
    if mask.any() and not mask.all():
        half = view.half_mm
        axes.contour(
            mask[::-1].astype(float),
            levels=[0.5],
            colors=[color],
            linewidths=1.2,
            extent=(-half, half, -half, half),
        )


def _overlap_words(result: MethodResult, label: int) -> str:
    for score in result.record.structures:
        if score.label == label and not math.isnan(score.iou):
            return f"IoU {score.iou:.3f}, Dice {score.dice:.3f}"
    return "not measured"


def _largest(labels: LabelMap, shared: Sequence[int]) -> list[int]:
    """The shared labels with the most voxels, at most three, ascending."""
    values, counts = np.unique(labels.data, return_counts=True)
    sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    by_size = sorted(shared, key=lambda label: -sizes[label])
    return sorted(by_size[:MOST_STRUCTURES])

"""Sections of one pair through its structures, one column per method."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from voltween.evaluation.comparison import ComparedPair, MethodResult
from voltween.evaluation.report.summaries import short_names
from voltween.evaluation.section_rows import (
    check_structures,
    labels_of,
    largest_structures,
)
from voltween.evaluation.stages import register_stages
from voltween.evaluation.warped_sections import warped_sections_figure
from voltween.figures import (
    BOTH_COLOR,
    FIXED_COLOR,
    MOVED_COLOR,
    View,
    overlap_colors,
    structure_view,
)
from voltween.figures.panels import draw_section, table_of_axes
from voltween.spatial import labels_in_common


def structures_figure(pair: ComparedPair, structures: Sequence[int] = ()) -> Figure:
    """Draws two rows per structure: images with outlines; masks overlaid.

    Without a choice, it draws the three largest structures that both scans have.

    Raises:
        InputError: If a scan has no labels, the scans have none in common, or a scan
            lacks a label asked for.
    """
    labels = labels_of((pair.fixed, pair.moving))
    shared = labels_in_common(*labels)
    check_structures(structures, shared)
    chosen = structures or largest_structures(labels[0], shared)
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


def methods_figure(
    pair: ComparedPair,
    *,
    landmarks: Sequence[int] = (),
    structures: Sequence[int] = (),
) -> Figure:
    """Draws sections and masks by method: figures 8, 9 and 11 to 13 of the VTN paper.

    Raises:
        InputError: As `warped_sections_figure`.
    """
    names = short_names(pair.methods)
    transforms = {
        names[m]: result.fixed_to_moving for m, result in pair.methods.items()
    }
    return warped_sections_figure(
        (pair.fixed, pair.moving),
        transforms,
        title=pair_title(pair),
        landmarks=landmarks,
        structures=structures,
    )


def stages_figure(
    folder: Path,
    pair: ComparedPair,
    *,
    landmarks: Sequence[int] = (),
    structures: Sequence[int] = (),
) -> Figure:
    """Draws sections and masks by stage of a pair's first method: figure 10.

    The folder is that of the comparison.

    Raises:
        InputError: As `warped_sections_figure` and `register_stages`.
    """
    method, *_ = pair.methods
    stages = register_stages(folder, pair, method)
    return warped_sections_figure(
        (pair.fixed, pair.moving),
        {f"after {name}": transform for name, transform in stages.items()},
        title=f"{method}, {pair_title(pair)}",
        landmarks=landmarks,
        structures=structures,
    )


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
    draw_section(axes[0, 0], view.gray(fixed.image), view, are_sides_named=True)
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
        image = view.gray(moving.image, transform)
        draw_section(column[0], image, view, are_sides_named=False)
        _outline(column[0], mask, view, FIXED_COLOR)
        _outline(column[0], moved, view, MOVED_COLOR)
        draw_section(
            column[1], overlap_colors(mask, moved), view, are_sides_named=False
        )
        column[1].set_xlabel(_overlap_words(result, label), fontsize=8)


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

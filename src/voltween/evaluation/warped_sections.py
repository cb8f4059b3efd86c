"""Sections of fixed, moving and warped scans: figures 8 to 13 of the VTN paper.

Rows are axial sections through landmarks of the fixed scan. There is a column for the
fixed and one for the moving scan, then two per transform: the warped scan, and the
warped mask over the fixed one. Everything is shown and measured in fixed space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from voltween.cohorts import Scan
from voltween.evaluation.section_rows import SectionRow, chosen_rows, organ_of
from voltween.figures import Window, mask_colors
from voltween.figures.panels import draw_section, table_of_axes
from voltween.metrics import (
    corresponding_landmarks,
    dice_per_label,
    iou_from_dice,
    landmark_differences_in_fixed_mm,
)
from voltween.spatial import Affine, LabelMap, Points, Transform, align_centers

FIXED_CROSS, MOVING_CROSS = "#FFD800", "#E00000"
_ORGAN = 1
_CROSS: Any = {
    "markersize": 9,
    "markeredgewidth": 1.6,
    "path_effects": [withStroke(linewidth=3, foreground="black")],
}


@dataclass(frozen=True, eq=False)
class Subject:
    """The two scans of a figure, with the part of their labels that is shown."""

    fixed: Scan
    moving: Scan
    fixed_organ: LabelMap
    moving_organ: LabelMap

    @cached_property
    def landmarks(self) -> tuple[Points, Points] | None:
        """Fixed and moving landmarks, if both scans have some."""
        fixed, moving = self.fixed.points, self.moving.points
        return None if fixed is None or moving is None else (fixed, moving)


@dataclass(frozen=True, eq=False)
class Warp:
    """A transform of the moving scan, and its measures in fixed space."""

    transform: Transform
    iou: float
    """Overlap of the organ as a volume."""
    landmarks_mm: Float[np.ndarray, "n 3"] | None
    """Moving landmarks in fixed space, if there are any."""
    distances_mm: Float[np.ndarray, " n"] | None
    """Their distances from the fixed landmarks."""

    @classmethod
    def measured(cls, transform: Transform, subject: Subject) -> "Warp":
        """Measures a transform, fixed to moving world mm.

        Raises:
            InputError: If the landmarks do not correspond.
        """
        fixed, moving = subject.fixed_organ, subject.moving_organ
        moved = transform.resample(moving, onto=fixed.grid)
        iou = iou_from_dice(dice_per_label(fixed.data, moved.data)[_ORGAN])
        if subject.landmarks is None:
            return cls(transform, iou, None, None)
        fixed_points, _ = subject.landmarks
        apart_mm = landmark_differences_in_fixed_mm(transform, *subject.landmarks)
        distances_mm = np.linalg.norm(apart_mm, axis=1)
        return cls(transform, iou, fixed_points.mm + apart_mm, distances_mm)


def _with_common_landmarks(scans: tuple[Scan, Scan]) -> tuple[Scan, Scan]:
    """The scans with the landmarks that both have, in the same order."""
    fixed, moving = scans
    if fixed.points is None or moving.points is None:
        return scans
    in_fixed, in_moving = corresponding_landmarks(fixed.points, moving.points)
    return replace(fixed, points=in_fixed), replace(moving, points=in_moving)


def warped_sections_figure(
    scans: tuple[Scan, Scan],
    transforms: Mapping[str, Transform],
    *,
    title: str,
    landmarks: Sequence[int] = (),
    structures: Sequence[int] = (),
) -> Figure:
    """Draws sections of a pair of scans (fixed, moving) under several transforms.

    A yellow cross is the landmark of the fixed scan, a red one the projection of the
    moving landmark onto the section. Fixed masks are white, warped ones transparent
    red. The distance of the landmark is written below the warped scan, the IoU below
    the masks; it is that of the volume and not of the section.

    The moving scan itself is shown with its center on the fixed scan's center.

    Args:
        scans: Scans with labels. Without landmarks, sections go through the centers of
            structures.
        transforms: Fixed to moving transforms by name, in the order of the columns.
        title: Title of the figure.
        landmarks: Numbers of the landmarks, from 1; the first three if none is given.
        structures: Labels whose union is the mask; all labels if none is given.

    Raises:
        InputError: If a scan has no labels, the scans have none in common, or a scan
            lacks a landmark or label that is asked for.
    """
    scans = _with_common_landmarks(scans)
    fixed, moving = scans
    organs = organ_of(scans, structures)
    subject = Subject(fixed, moving, *organs)
    rows = chosen_rows(scans, landmarks=landmarks, structures=structures)
    warps = {name: Warp.measured(t, subject) for name, t in transforms.items()}
    pairs = [(name, "masks") for name in warps]
    columns = ["fixed", "moving", *chain.from_iterable(pairs)]
    figure, axes = table_of_axes(title, columns, len(rows))
    for panels, row in zip(axes, rows, strict=True):
        _draw_row(panels, subject, row, list(warps.values()))
    figure.legend(
        handles=_legend(has_crosses=rows[0].landmark is not None),
        loc="outside lower center",
        ncols=4,
        frameon=False,
    )
    return figure


def _draw_row(
    panels: np.ndarray, subject: Subject, row: SectionRow, warps: Sequence[Warp]
) -> None:
    """Draws fixed, moving, and two panels per warp."""
    view, fixed, moving = row.view, subject.fixed, subject.moving
    start = align_centers(fixed.image.grid, moving.image.grid)
    transforms = [start, *(warp.transform for warp in warps)]
    window = Window.of(moving.image)
    at_start, *warped = (view.gray(moving.image, t, window=window) for t in transforms)
    draw_section(panels[0], view.gray(fixed.image), view, are_sides_named=True)
    draw_section(panels[1], at_start, view, are_sides_named=False)
    panels[0].set_ylabel(row.name, fontsize=9)
    fixed_mask = view.mask(subject.fixed_organ, _ORGAN)
    for n, warp in enumerate(warps):
        shown, masks = panels[2 + 2 * n : 4 + 2 * n]
        moved_mask = view.mask(subject.moving_organ, _ORGAN, warp.transform)
        draw_section(shown, warped[n], view, are_sides_named=False)
        draw_section(
            masks, mask_colors(fixed_mask, moved_mask), view, are_sides_named=False
        )
        masks.set_xlabel(f"IoU {warp.iou:.3f}", fontsize=8)
    if subject.landmarks is not None and row.landmark is not None:
        _draw_crosses(panels, subject.landmarks, row, (start, warps))


def _draw_crosses(
    panels: np.ndarray,
    landmarks: tuple[Points, Points],
    row: SectionRow,
    shown: tuple[Affine, Sequence[Warp]],
) -> None:
    """Draws the row's landmark into its panels, and writes its distances."""
    n, (start, warps) = row.landmark, shown
    assert n is not None  # a row through a structure has no crosses
    fixed_mm, moving_mm = (points.mm[n] for points in landmarks)
    _draw_cross(panels[0], row, fixed_mm, FIXED_CROSS)
    _draw_cross(panels[1], row, start.inverse().map_positions(moving_mm[None])[0])
    for panel, warp in zip(panels[2:].reshape(-1, 2), warps, strict=True):
        assert warp.landmarks_mm is not None
        assert warp.distances_mm is not None
        for axes in panel:
            _draw_cross(axes, row, fixed_mm, FIXED_CROSS)
            is_inside = _draw_cross(axes, row, warp.landmarks_mm[n])
        note = "" if is_inside else " (outside)"
        panel[0].set_xlabel(f"{warp.distances_mm[n]:.1f} mm{note}", fontsize=8)


def _draw_cross(
    axes: Axes,
    row: SectionRow,
    position_mm: Float[np.ndarray, " 3"],
    color: str = MOVING_CROSS,
) -> bool:
    """Draws a cross at a position's projection; returns whether it is in the panel."""
    (place,) = row.view.place(position_mm[None])
    half = row.view.half_mm
    marker = "x" if color == FIXED_CROSS else "+"
    axes.plot(*place, marker, color=color, **_CROSS)
    axes.set(xlim=(-half, half), ylim=(-half, half))
    return bool(np.abs(place).max() <= half)


def _legend(*, has_crosses: bool) -> list[Artist]:
    warped = mask_colors(np.zeros((1, 1), bool), np.ones((1, 1), bool))[0, 0]
    handles: list[Artist] = [
        Patch(facecolor="white", edgecolor="gray", label="fixed mask"),
        Patch(color=tuple(warped), label="warped mask"),
    ]
    if not has_crosses:
        return handles
    for color, marker, name in (
        (FIXED_CROSS, "x", "fixed landmark"),
        (MOVING_CROSS, "+", "moving landmark"),
    ):
        line = Line2D([], [], color=color, marker=marker, ls="", label=name, **_CROSS)
        handles.append(line)
    return handles

"""The overview picture, which shows at a glance whether a registration worked.

It is painted pixel by pixel into an array; Pillow adds the text and writes the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image as Picture

from voltween.figures import (
    FIXED_OUTLINE,
    LARGEST_LOG_JACOBIAN,
    LONGEST_SIDE_VOXELS,
    MOVED_OUTLINE,
    PLANES,
    Colors,
    Plane,
    Section,
    View,
    Window,
    add_color_scale,
    checker,
    display_grid,
    draw_outlines,
    find_outlines,
    gray,
    largest_structures,
    paint_mosaic,
    png,
    rgb,
    whole_views,
)
from voltween.registration.result import Registration
from voltween.reports import ShownScans
from voltween.spatial import Affine, DisplacementField, LabelMap, Transform
from voltween.storage import whole_file

Outline = Bool[np.ndarray, "_ _"]

_MOST_PIXELS = 1500  # across all columns, without gaps and scale: a laptop's screen
_OTHER_COLUMNS = 4  # beside the frames of the tweening
_GRID_LINES = 20
_GRID_LINE_PIXELS = 1.2
_CYAN = np.array([0.0, 1.0, 1.0])
_FIXED, _MOVED = np.array(rgb(FIXED_OUTLINE)), np.array(rgb(MOVED_OUTLINE))
# Growing and shrinking tissue: the ends of the color map RdBu, reversed.
_RED, _BLUE = np.array([0.70, 0.09, 0.17]), np.array([0.13, 0.40, 0.67])


def paint_overview(
    registration: Registration,
    *,
    shown: ShownScans | None = None,
    fixed_labels: LabelMap | None = None,
    moving_labels: LabelMap | None = None,
) -> Picture.Image:
    """Paints fixed, every tweening frame, checkerboard, deformed grid, Jacobian.

    The rows are three planes through the center of the fixed image, with R, A and S to
    the right or up. Where there are labels, the twelve structures that are largest in
    these planes are outlined: those of the fixed scan in orange, those of the moving
    scan, moved, in blue. The picture is at most about 1600 x 1000 pixels.

    Args:
        registration: The registration.
        shown: The scans as they are shown, if not as a whole.
        fixed_labels: Label map of the fixed scan.
        moving_labels: Label map of the moving scan.
    """
    count = len(registration.tweening) + _OTHER_COLUMNS
    side = min(LONGEST_SIDE_VOXELS, _MOST_PIXELS // count)
    views = whole_views(registration.fixed.grid, side)
    outlines = _Outlines.of(fixed_labels, moving_labels, views)
    shown = shown or ShownScans(registration.fixed, registration.moving)
    columns = dict(_columns(registration, shown, side, outlines))
    return add_color_scale(
        paint_mosaic(_title(registration, shown), columns),
        _colors(np.linspace(1, -1, 100)),
        [f"{LARGEST_LOG_JACOBIAN:+g}", "0", f"{-LARGEST_LOG_JACOBIAN:+g}"],
    )


def write_picture(picture: Picture.Image, path: Path) -> None:
    """Writes a picture as PNG.

    Raises:
        OutputError: If the file cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(png(np.asarray(picture)))


@dataclass(frozen=True, eq=False)
class _Outlines:
    """The structures that are outlined in some views."""

    fixed: LabelMap | None
    moving: LabelMap | None
    views: tuple[View, ...]
    chosen: list[int]

    @classmethod
    def of(
        cls,
        fixed: LabelMap | None,
        moving: LabelMap | None,
        views: tuple[View, ...],
    ) -> "_Outlines":
        """The structures largest in the planes, fixed ones if there are labels."""
        labels = moving if fixed is None else fixed
        if labels is None:
            return cls(None, None, views, [])
        shown = [view.labels(labels) for view in views]
        chosen = largest_structures(shown) or list(labels.labels)
        return cls(fixed, moving, views, chosen)

    def draw(self, panels: list[Colors], moved_by: Transform | None) -> list[Colors]:
        """Draws the fixed structures, and the moved ones if there is a transform."""
        sides = []
        if self.fixed is not None:
            sides.append((self._fixed_outlines, _FIXED))
        if self.moving is not None and moved_by is not None:
            sides.append((self._find(self.moving, moved_by), _MOVED))
        for outlines, color in sides:
            panels = [
                draw_outlines(panel, outline, color)
                for panel, outline in zip(panels, outlines, strict=True)
            ]
        return panels

    @cached_property
    def _fixed_outlines(self) -> list[Outline]:
        """Those of the fixed structures, which every column shows."""
        assert self.fixed is not None
        return self._find(self.fixed, Affine.identity())

    def _find(self, labels: LabelMap, transform: Transform) -> list[Outline]:
        """The outlines of moved structures, one per view."""
        shown = [view.labels(labels, transform) for view in self.views]
        return [find_outlines(section, self.chosen) for section in shown]


def _columns(
    registration: Registration, shown: ShownScans, side: int, outlines: _Outlines
) -> Iterator[tuple[str, list[Colors]]]:
    """Yields the heading and the three planes of every column of the picture."""
    views, moving = outlines.views, shown.moving
    windows = Window.of(shown.fixed), Window.of(moving)
    fixed = [view.gray(shown.fixed, window=windows[0]) for view in views]
    heading = "fixed" if outlines.fixed is None else "fixed (orange)"
    yield heading, outlines.draw([gray(section) for section in fixed], None)
    moved = fixed
    for name, transform in registration.tweening.items():
        moved = [view.gray(moving, transform, window=windows[1]) for view in views]
        heading = "moving, centered" if name == "before" else f"after {name}"
        heading += "" if outlines.moving is None else " (blue)"
        panels = [gray(section) for section in moved]
        yield heading, outlines.draw(panels, transform)
    yield "fixed / moved", [checker(f, m) for f, m in zip(fixed, moved, strict=True)]
    grid = display_grid(registration.fixed.grid, side)
    slabs = [plane.slab(grid, 3) for plane in PLANES]
    fields = [registration.fixed_to_moving.to_field(slab) for slab in slabs]
    triples = list(zip(PLANES, fields, moved, strict=True))
    yield "deformed grid", [_draw_grid_lines(m, f, p) for p, f, m in triples]
    yield "log2 Jacobian", [_color_jacobian(f, p) for p, f, _ in triples]


def _draw_grid_lines(
    section: Section, field: DisplacementField, plane: Plane
) -> Colors:
    """Draws lines of equal moving position: the moving grid on the moved image."""
    positions = field.to_flow() + np.indices(field.grid.shape)
    opacity = np.zeros(section.shape)
    for axis in {0, 1, 2} - {plane.axis}:
        lines = plane.section(positions[axis]) * (_GRID_LINES / max(field.grid.shape))
        slope = np.hypot(*np.gradient(lines))
        pixels_away = np.abs(lines - np.rint(lines)) / slope.clip(1e-6)
        opacity = np.maximum(opacity, _GRID_LINE_PIXELS / 2 + 0.5 - pixels_away)
    opacity = opacity.clip(0, 1)[..., None]
    return (1 - opacity) * gray(section) + opacity * _CYAN


def _color_jacobian(field: DisplacementField, plane: Plane) -> Colors:
    """Colors red where the moving image's tissue is larger, blue where smaller."""
    determinant = plane.section(field.jacobian_determinant())
    return _colors(np.log2(determinant.clip(2.0**-6)) / LARGEST_LOG_JACOBIAN)


def _colors(share: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n 3"]:
    """Colors from blue, at -1 and below, through white to red, at 1 and above."""
    share = share.clip(-1, 1)[..., None]
    end = np.where(share > 0, _RED, _BLUE)
    return 1 - np.abs(share) * (1 - end)


def _title(registration: Registration, shown: ShownScans) -> str:
    if shown.are_blank:
        return "No scan is shown: the brain alone was to be, and it was not found"
    correlation = registration.correlation
    return (
        f"Voltween, model {registration.model_name}: correlation "
        f"{correlation['before']:.3f} before, {correlation['after']:.3f} after; "
        f"{registration.folding_percent:.3g} % of voxels fold"
    )

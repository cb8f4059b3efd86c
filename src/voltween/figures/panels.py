"""Panels of figures: sections of scans, arranged by Matplotlib."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from voltween.figures.views import View

_COLUMN_INCHES = 1.9
_FOOT_INCHES = 0.8


def draw_section(
    axes: Axes,
    pixels: Float[np.ndarray, "h w *c"],
    view: View,
    *,
    are_sides_named: bool,
) -> None:
    """Draws pixels from 0 to 1 with axes in mm from the window's center."""
    half = view.half_mm
    extent = (-half, half, -half, half)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, extent=extent)
    axes.set(xticks=[], yticks=[])
    if are_sides_named:
        plane = view.plane
        for x, y, side in (
            (0.06, 0.5, plane.left),
            (0.94, 0.5, plane.right),
            (0.5, 0.93, plane.top),
        ):
            axes.text(
                *(x, y, side),
                transform=axes.transAxes,
                color="#FF9900",
                fontsize=8,
                ha="center",
                va="center",
                fontweight="bold",
                path_effects=[withStroke(linewidth=2, foreground="black")],
            )


def table_of_axes(
    title: str, columns: Sequence[str], rows: int
) -> tuple[Figure, np.ndarray]:
    """A figure of square panels (rows, columns) with headings above them."""
    size = (
        _COLUMN_INCHES * len(columns),
        (_COLUMN_INCHES + 0.25) * rows + _FOOT_INCHES,
    )
    figure = Figure(figsize=size, layout="constrained", dpi=110)
    axes = figure.subplots(rows, len(columns), squeeze=False)
    figure.suptitle(title, fontsize=9)
    for panel, heading in zip(axes[0], columns, strict=True):
        panel.set_title(heading, fontsize=9)
    return figure, axes

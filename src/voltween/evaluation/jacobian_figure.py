"""Maps of volume change by method: log2 of the Jacobian determinant."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from voltween.evaluation.comparison import ComparedPair
from voltween.evaluation.pair_figures import pair_title
from voltween.evaluation.report.summaries import short_names
from voltween.figures import LARGEST_LOG_JACOBIAN, View, square_views
from voltween.figures.panels import draw_section, table_of_axes
from voltween.spatial import Affine, Grid, Image, LabelMap, Transform

_SMALLEST = 2.0**-6
_FOLDING_COLOR, _BEYOND_COLOR = "#FFD800", "#888888"


def jacobian_figure(pair: ComparedPair) -> Figure:
    """Draws three planes through the fixed scan's center, one column per method.

    Red: the moving tissue is larger; blue: it is smaller. Yellow: voxels of the fixed
    grid that fold; their percentage of all voxels is written below each column.
    """
    names = short_names(pair.methods).values()
    views = square_views(pair.fixed.image.grid)
    figure, axes = table_of_axes(pair_title(pair), ["fixed", *names], len(views))
    for panel, view in zip(axes[:, 0], views, strict=True):
        draw_section(panel, view.gray(pair.fixed.image), view, are_sides_named=True)
    shown = None
    for column, result in zip(axes.T[1:], pair.methods.values(), strict=True):
        growth, folding = volume_change(result.fixed_to_moving, pair.fixed.image.grid)
        for panel, view in zip(column, views, strict=True):
            shown = _draw_change(panel, view, growth, folding)
        percent = result.record.pair.folding_percent
        column[-1].set_xlabel(f"{percent:.2g} % of voxels fold", fontsize=8)
    handles = [
        Patch(color=_FOLDING_COLOR, label="folding voxels"),
        Patch(color=_BEYOND_COLOR, label="beyond the fixed scan"),
    ]
    figure.legend(handles=handles, loc="outside lower center", frameon=False, ncols=2)
    assert shown is not None  # a compared pair has a method
    figure.colorbar(
        shown, ax=list(axes[:, -1]), label="log2 Jacobian", shrink=0.6, extend="both"
    )
    return figure


def _draw_change(axes: Axes, view: View, growth: Image, folding: LabelMap) -> AxesImage:
    """Draws the map, with a gray area beyond the fixed scan."""
    half = view.half_mm
    extent = (-half, half, -half, half)
    everywhere = LabelMap(np.ones(growth.grid.shape, np.uint8), growth.grid)
    slab = Affine.identity().resample(growth, onto=view.grid)
    section = np.where(view.mask(everywhere, 1), view.plane.section(slab.data), np.nan)
    shown = axes.imshow(
        section,
        cmap="RdBu_r",
        vmin=-LARGEST_LOG_JACOBIAN,
        vmax=LARGEST_LOG_JACOBIAN,
        extent=extent,
    )
    folded = view.mask(folding, 1)
    axes.imshow(
        np.where(folded[..., None], to_rgba(_FOLDING_COLOR), 0.0), extent=extent
    )
    axes.set(xticks=[], yticks=[], facecolor=_BEYOND_COLOR)
    return shown


def volume_change(fixed_to_moving: Transform, grid: Grid) -> tuple[Image, LabelMap]:
    """log2 of moving over fixed volume at the grid's voxels, and a mask of folds."""
    determinant = fixed_to_moving.to_field(grid).jacobian_determinant()
    growth = np.log2(determinant.clip(_SMALLEST))
    return Image(growth, grid), LabelMap((determinant <= 0).astype(np.uint8), grid)

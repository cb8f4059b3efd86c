"""Panels of figures: sections of scans around a structure, drawn with Matplotlib."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from voltween.figures.planes import PLANES, Plane, Section, gray_levels
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    Transform,
    directions_to_ras,
    nearest_world_axes,
)

_PIXELS = 240
_IDENTITY = Affine.identity()
_COLUMN_INCHES = 1.9
_FOOT_INCHES = 0.8
_MARGIN = 1.35  # side of the window in units of the structure's extent
_NARROWEST_MM = 20.0
_RED, _WARPED_OPACITY = np.array([0.9, 0.0, 0.0]), 0.5
FIXED_COLOR, MOVED_COLOR, BOTH_COLOR = "#0072B2", "#E69F00", "#BBBBBB"


@dataclass(frozen=True, eq=False)
class View:
    """A square window of a plane through a scan."""

    plane: Plane
    grid: Grid

    @property
    def half_mm(self) -> float:
        """Half of the side of the window, mm."""
        return float(self.grid.spacing_mm[0]) * _PIXELS / 2

    def image(
        self, volume: Image, transform: Transform = _IDENTITY
    ) -> Float[np.ndarray, "_ _"]:
        """Intensities of a moved volume in the window, 0 to 1."""
        moved = transform.resample(volume, onto=self.grid)
        return gray_levels([self.plane.section(moved.data)])[0]

    def mask(
        self, labels: LabelMap, label: int, transform: Transform = _IDENTITY
    ) -> Bool[np.ndarray, "_ _"]:
        """Mask of a label of a moved label map in the window."""
        moved = transform.resample(labels, onto=self.grid)
        return self.plane.section((moved.data == label).astype(float)) > 0

    def place(self, positions_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Positions in RAS+ mm as mm to the right of and above the window's center."""
        voxels = self.grid.world_to_voxel(positions_mm - self.grid.center_mm)
        offsets_mm = (voxels - self.grid.world_to_voxel(np.zeros(3))) * (
            self.grid.spacing_mm
        )
        return np.delete(offsets_mm, self.plane.axis, axis=-1)


def structure_view(labels: LabelMap, label: int) -> View:
    """The view of the section, of all three planes, in which the label is largest."""
    voxels = np.argwhere(labels.data == label)
    spacing = labels.grid.spacing_mm
    best = max(
        ((axis, *_fullest(voxels, spacing, axis)) for axis in range(3)),
        key=lambda found: found[2],
    )
    inside = voxels[voxels[:, best[0]] == best[1]]
    low, high = inside.min(axis=0), inside.max(axis=0)
    center_mm = labels.grid.voxel_to_world((low + high) / 2)
    half_mm = _MARGIN * ((high - low + 1) * spacing).max() / 2
    world_axis = nearest_world_axes(labels.grid)[best[0]]
    plane = next(plane for plane in PLANES if plane.axis == world_axis)
    return centered_view(plane, labels.grid, center_mm, max(half_mm, _NARROWEST_MM))


def overlap_colors(
    fixed: Bool[np.ndarray, "h w"], moved: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """RGB of two masks: fixed only blue, moved only orange, both gray, none white."""
    from matplotlib.colors import to_rgb

    colors = np.ones((*fixed.shape, 3))
    colors[fixed & ~moved] = to_rgb(FIXED_COLOR)
    colors[moved & ~fixed] = to_rgb(MOVED_COLOR)
    colors[fixed & moved] = to_rgb(BOTH_COLOR)
    return colors


def mask_colors(
    fixed: Bool[np.ndarray, "h w"], warped: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """RGB of a white fixed mask on black, with a half transparent red warped mask."""
    colors = np.repeat(fixed[..., None], 3, axis=-1).astype(float)
    colors[warped] = (1 - _WARPED_OPACITY) * colors[warped] + _WARPED_OPACITY * _RED
    return colors


def shared_gray_levels(
    view: View, volume: Image, transforms: Sequence[Transform]
) -> list[Section]:
    """Sections of a volume moved by each transform, 0 to 1, by one scale for all."""
    moved = [transform.resample(volume, onto=view.grid) for transform in transforms]
    return gray_levels([view.plane.section(image.data) for image in moved])


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


def centered_view(
    plane: Plane, grid: Grid, center_mm: Float[np.ndarray, " 3"], half_mm: float
) -> View:
    """The view along a plane, centered at a position in RAS+ mm."""
    directions = directions_to_ras(grid)
    window = plane.window(directions, center_mm, half_mm=half_mm, pixels=_PIXELS)
    return View(plane, window)


def whole_view(plane: Plane, grid: Grid, position_mm: Float[np.ndarray, " 3"]) -> View:
    """The view of a grid's whole plane through a position in RAS+ mm."""
    directions = directions_to_ras(grid)
    normal = directions[:, plane.axis]
    center_mm = grid.center_mm + normal * (normal @ (position_mm - grid.center_mm))
    in_plane_mm = np.delete(grid.extent_mm(directions), plane.axis)
    return centered_view(plane, grid, center_mm, float(in_plane_mm.max()) / 2)


def _fullest(
    voxels: Float[np.ndarray, "n 3"] | np.ndarray, spacing_mm: np.ndarray, axis: int
) -> tuple[int, float]:
    """The layer along an axis with the most voxels, and their area in mm2."""
    counts = np.bincount(voxels[:, axis])
    area = float(np.prod(np.delete(spacing_mm, axis)))
    return int(counts.argmax()), float(counts.max()) * area

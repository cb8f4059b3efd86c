"""Sections through one pair, a column a method: figures 8 to 13 of the VTN paper."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from voltween.comparison import ComparedPair, MethodResult
from voltween.errors import InputError
from voltween.metrics import landmark_distances_mm
from voltween.planes import PLANES, Plane, grey_levels
from voltween.space import Grid, directions_to_ras, nearest_world_axes
from voltween.summaries import short_names
from voltween.transform import Affine, Transform
from voltween.volume import Image, LabelMap, Points

MOST_STRUCTURES = 3
_PIXELS = 240
_IDENTITY = Affine.identity()
_COLUMN_INCHES = 1.9
_FOOT_INCHES = 0.8
_MARGIN = 1.35  # of the window around a structure
_NARROWEST_MM = 20.0
_AROUND_LANDMARK_MM = 30.0
FIXED_COLOUR, MOVED_COLOUR, BOTH_COLOUR = "#0072B2", "#E69F00", "#BBBBBB"


@dataclass(frozen=True, eq=False)
class View:
    """A plane through a scan, cut out around what is to be seen."""

    plane: Plane
    grid: Grid

    @property
    def half_mm(self) -> float:
        """Half of the window's side."""
        return float(self.grid.spacing_mm[0]) * _PIXELS / 2

    def image(
        self, volume: Image, transform: Transform = _IDENTITY
    ) -> Float[np.ndarray, "_ _"]:
        """Intensities as seen, 0 to 1."""
        moved = transform.resample(volume, onto=self.grid)
        return grey_levels([self.plane.section(moved.data)])[0]

    def mask(
        self, labels: LabelMap, label: int, transform: Transform = _IDENTITY
    ) -> Bool[np.ndarray, "_ _"]:
        """Where the label is, as seen."""
        moved = transform.resample(labels, onto=self.grid)
        return self.plane.section((moved.data == label).astype(float)) > 0

    def place(self, positions_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """World mm to mm to the right of and above the window's middle."""
        voxels = self.grid.world_to_voxel(positions_mm - self.grid.centre_mm)
        offsets_mm = (voxels - self.grid.world_to_voxel(np.zeros(3))) * (
            self.grid.spacing_mm
        )
        return np.delete(offsets_mm, self.plane.axis, axis=-1)


def structure_view(labels: LabelMap, label: int) -> View:
    """The plane, of all three directions, in which the label has the largest area."""
    voxels = np.argwhere(labels.data == label)
    spacing = labels.grid.spacing_mm
    best = max(
        ((axis, *_fullest(voxels, spacing, axis)) for axis in range(3)),
        key=lambda found: found[2],
    )
    inside = voxels[voxels[:, best[0]] == best[1]]
    low, high = inside.min(axis=0), inside.max(axis=0)
    centre_mm = labels.grid.voxel_to_world((low + high) / 2)
    half_mm = _MARGIN * ((high - low + 1) * spacing).max() / 2
    world_axis = nearest_world_axes(labels.grid)[best[0]]
    plane = next(plane for plane in PLANES if plane.axis == world_axis)
    return _view(plane, labels.grid, centre_mm, max(half_mm, _NARROWEST_MM))


def structures_figure(pair: ComparedPair, structures: Sequence[int] = ()) -> Figure:
    """Two rows a structure: images with outlines; moved mask over the fixed one.

    The three largest structures of the fixed scan that both scans have, if none given.

    Raises:
        InputError: If a scan has no labels, or not the label asked for.
    """
    fixed, moving = pair.fixed, pair.moving
    if fixed.labels is None or moving.labels is None:
        raise InputError(
            f"{fixed.name} and {moving.name}: need labels for figures of structures, "
            "one has none: name them in the manifest's column labels"
        )
    shared = set(fixed.labels.labels) & set(moving.labels.labels)
    if absent := set(structures) - shared:
        raise InputError(
            f"structures {sorted(absent)} are not in both scans, which share "
            f"{sorted(shared)[:20]}"
        )
    chosen = structures or _largest(fixed.labels, shared)
    figure, axes = _table(pair, 2 * len(chosen))
    for n, label in enumerate(chosen):
        _draw_structure(axes[2 * n : 2 * n + 2], pair, label)
    handles = [
        Patch(color=FIXED_COLOUR, label="fixed alone"),
        Patch(color=MOVED_COLOUR, label="moved alone"),
        Patch(color=BOTH_COLOUR, label="both"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def landmarks_figure(pair: ComparedPair, landmarks: Sequence[int] = ()) -> Figure:
    """A row a landmark: the fixed scan there, and where each method maps it to.

    The methods' columns show the moving scan through its own landmark, for there the
    distance is measured. The first three landmarks if no numbers, from 1, are given.

    Raises:
        InputError: If a scan has no landmarks, or not as many.
    """
    fixed, moving = pair.fixed.points, pair.moving.points
    if fixed is None or moving is None:
        raise InputError(
            f"{pair.fixed.name} and {pair.moving.name}: need landmarks for figures of "
            "them, one has none: name them in the manifest's column points"
        )
    count = min(len(fixed.mm), len(moving.mm))
    chosen = landmarks or range(1, min(MOST_STRUCTURES, count) + 1)
    if not count:
        raise InputError(
            f"{pair.fixed.name} and {pair.moving.name}: need landmarks, one has none "
            "in its file of points"
        )
    if absent := [n for n in chosen if not 1 <= n <= count]:
        raise InputError(f"landmarks {absent} are not there: there are 1 to {count}")
    figure, axes = _table(pair, len(chosen))
    for row, number in zip(axes, chosen, strict=True):
        _draw_landmark(row, pair, (fixed, moving), number - 1)
    handles = [
        Line2D([], [], color=FIXED_COLOUR, marker="x", ls="", label="landmark"),
        Line2D(
            [], [], color=MOVED_COLOUR, marker="+", ls="", label="fixed one, mapped"
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


def overlap_colours(
    fixed: Bool[np.ndarray, "h w"], moved: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w 3"]:
    """Fixed alone blue, moved alone orange, both grey, neither white."""
    from matplotlib.colors import to_rgb

    colours = np.ones((*fixed.shape, 3))
    colours[fixed & ~moved] = to_rgb(FIXED_COLOUR)
    colours[moved & ~fixed] = to_rgb(MOVED_COLOUR)
    colours[fixed & moved] = to_rgb(BOTH_COLOUR)
    return colours


def draw_section(
    axes: Axes,
    pixels: Float[np.ndarray, "h w *c"],
    view: View,
    *,
    are_sides_named: bool,
) -> None:
    """Pixels from 0 to 1 in mm around the window's middle, its sides named if asked."""
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


def pair_title(pair: ComparedPair) -> str:
    """What the figure is of."""
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
        overlap_colours(mask, np.zeros_like(mask)),
        view,
        are_sides_named=False,
    )
    _outline(axes[0, 0], mask, view, FIXED_COLOUR)
    axes[0, 0].set_ylabel(f"structure {label}", fontsize=9)
    for column, result in zip(axes.T[1:], pair.methods.values(), strict=True):
        transform = result.fixed_to_moving
        moved = view.mask(moving.labels, label, transform)
        image = view.image(moving.image, transform)
        draw_section(column[0], image, view, are_sides_named=False)
        _outline(column[0], mask, view, FIXED_COLOUR)
        _outline(column[0], moved, view, MOVED_COLOUR)
        draw_section(
            column[1], overlap_colours(mask, moved), view, are_sides_named=False
        )
        column[1].set_xlabel(_overlap_words(result, label), fontsize=8)


def _draw_landmark(
    axes: np.ndarray, pair: ComparedPair, points: tuple[Points, Points], index: int
) -> None:
    fixed, moving = points
    plane = PLANES[0]
    here, there = fixed.mm[index : index + 1], moving.mm[index : index + 1]
    at_fixed = _view(plane, pair.fixed.image.grid, here[0], _AROUND_LANDMARK_MM)
    at_moving = _view(plane, pair.moving.image.grid, there[0], _AROUND_LANDMARK_MM)
    draw_section(
        axes[0], at_fixed.image(pair.fixed.image), at_fixed, are_sides_named=True
    )
    _cross(axes[0], at_fixed.place(here), "x", FIXED_COLOUR)
    name = fixed.names[index] if fixed.names else f"landmark {index + 1}"
    axes[0].set_ylabel(name, fontsize=9)
    image = at_moving.image(pair.moving.image)
    for panel, result in zip(axes[1:], pair.methods.values(), strict=True):
        transform = result.fixed_to_moving
        distance_mm = landmark_distances_mm(transform, Points(here), Points(there))[0]
        draw_section(panel, image, at_moving, are_sides_named=False)
        _cross(panel, at_moving.place(there), "x", FIXED_COLOUR)
        mapped = at_moving.place(transform.map_positions(here))
        _cross(panel, mapped, "+", MOVED_COLOUR)
        half = at_moving.half_mm
        panel.set(xlim=(-half, half), ylim=(-half, half))
        away = " (outside)" if np.abs(mapped).max() > half else ""
        panel.set_xlabel(f"{distance_mm:.1f} mm{away}", fontsize=8)


def _cross(
    axes: Axes, place_mm: Float[np.ndarray, "1 2"], marker: str, colour: str
) -> None:
    (x, y), *_ = place_mm
    axes.plot(x, y, marker, color=colour, markersize=10, markeredgewidth=2)


def _outline(
    axes: Axes, mask: Bool[np.ndarray, "h w"], view: View, colour: str
) -> None:
    if mask.any() and not mask.all():
        half = view.half_mm
        axes.contour(
            mask[::-1].astype(float),
            levels=[0.5],
            colors=[colour],
            linewidths=1.2,
            extent=(-half, half, -half, half),
        )


def _overlap_words(result: MethodResult, label: int) -> str:
    for score in result.record.structures:
        if score.label == label and not math.isnan(score.iou):
            return f"IoU {score.iou:.3f}, Dice {score.dice:.3f}"
    return "not measured"


def _view(
    plane: Plane, grid: Grid, centre_mm: Float[np.ndarray, " 3"], half_mm: float
) -> View:
    directions = directions_to_ras(grid)
    window = plane.window(directions, centre_mm, half_mm=half_mm, pixels=_PIXELS)
    return View(plane, window)


def _fullest(
    voxels: Float[np.ndarray, "n 3"] | np.ndarray, spacing_mm: np.ndarray, axis: int
) -> tuple[int, float]:
    """The layer along an axis that has most voxels, and their area in mm2."""
    counts = np.bincount(voxels[:, axis])
    area = float(np.prod(np.delete(spacing_mm, axis)))
    return int(counts.argmax()), float(counts.max()) * area


def _largest(labels: LabelMap, shared: set[int]) -> list[int]:
    found, counts = np.unique(labels.data, return_counts=True)
    sizes: Mapping[int, int] = dict(zip(found.tolist(), counts.tolist(), strict=True))
    by_size = sorted(shared, key=lambda label: -sizes[label])
    if not by_size:
        raise InputError("the scans share no structure: no figure of structures")
    return sorted(by_size[:MOST_STRUCTURES])

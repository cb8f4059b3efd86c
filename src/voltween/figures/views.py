"""Views of scans: which plane is shown, how wide, and what is seen in it.

A view shows R, A and S at the right or at the top.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from voltween.figures.planes import PLANES, Plane, Section, display_grid
from voltween.figures.windowing import Window
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
_MARGIN = 1.35  # side of the window in units of the structure's extent
_NARROWEST_MM = 20.0


@dataclass(frozen=True, eq=False)
class View:
    """A plane through a scan, and the grid of one layer on which it is sampled.

    The pixels of the picture are the voxels of the grid, whose axes are in RAS order.
    """

    plane: Plane
    grid: Grid

    @property
    def half_mm(self) -> float:
        """Half of the side of a square view, mm."""
        side = max(self.grid.shape)
        return float(self.grid.spacing_mm[0]) * side / 2

    def gray(
        self,
        image: Image,
        transform: Transform = _IDENTITY,
        *,
        window: Window | None = None,
    ) -> Section:
        """Intensities of a moved image in the view, 0 to 1.

        Without a window, it is the one of the image.
        """
        moved = transform.resample(image, onto=self.grid)
        return (window or Window.of(image)).gray(self.plane.section(moved.data))

    def labels(
        self, labels: LabelMap, transform: Transform = _IDENTITY
    ) -> Int[np.ndarray, "_ _"]:
        """Labels of a moved label map in the view."""
        moved = transform.resample(labels, onto=self.grid)
        return self.plane.section(moved.data).astype(np.int64)

    def mask(
        self, labels: LabelMap, label: int, transform: Transform = _IDENTITY
    ) -> Bool[np.ndarray, "_ _"]:
        """Mask of a label of a moved label map in the view."""
        return self.labels(labels, transform) == label

    def place(self, positions_mm: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Positions in RAS+ mm as mm to the right of and above the view's center."""
        voxels = self.grid.world_to_voxel(positions_mm - self.grid.center_mm)
        offsets_mm = (voxels - self.grid.world_to_voxel(np.zeros(3))) * (
            self.grid.spacing_mm
        )
        return np.delete(offsets_mm, self.plane.axis, axis=-1)


def whole_views(grid: Grid, longest_side: int) -> tuple[View, View, View]:
    """The planes through the center of a scan, each as large as the scan is in it.

    `longest_side` is the number of pixels along the longest side of the scan.
    """
    shown = display_grid(grid, longest_side)
    axial, coronal, sagittal = (View(p, p.slab(shown, 1)) for p in PLANES)
    return axial, coronal, sagittal


def square_views(grid: Grid, pixels: int = _PIXELS) -> tuple[View, View, View]:
    """The planes through the center of a scan, all as wide as its longest side."""
    half_mm = float((np.array(grid.shape) * grid.spacing_mm).max() / 2)
    axial, coronal, sagittal = (
        centered_view(plane, grid, grid.center_mm, half_mm=half_mm, pixels=pixels)
        for plane in PLANES
    )
    return axial, coronal, sagittal


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
    widest_mm = max(half_mm, _NARROWEST_MM)
    return centered_view(plane, labels.grid, center_mm, half_mm=widest_mm)


def plane_view(
    plane: Plane,
    grid: Grid,
    position_mm: Float[np.ndarray, " 3"],
    *,
    pixels: int = _PIXELS,
) -> View:
    """The square view of a grid's whole plane through a position in RAS+ mm."""
    directions = directions_to_ras(grid)
    normal = directions[:, plane.axis]
    center_mm = grid.center_mm + normal * (normal @ (position_mm - grid.center_mm))
    in_plane_mm = np.delete(grid.extent_mm(directions), plane.axis)
    half_mm = max(float(in_plane_mm.max()), float(grid.spacing_mm.min())) / 2
    return centered_view(plane, grid, center_mm, half_mm=half_mm, pixels=pixels)


def centered_view(
    plane: Plane,
    grid: Grid,
    center_mm: Float[np.ndarray, " 3"],
    *,
    half_mm: float,
    pixels: int = _PIXELS,
) -> View:
    """The square view along a plane, centered at a position in RAS+ mm."""
    directions = directions_to_ras(grid)
    return View(
        plane, plane.window(directions, center_mm, half_mm=half_mm, pixels=pixels)
    )


def _fullest(
    voxels: Int[np.ndarray, "n 3"], spacing_mm: Float[np.ndarray, " 3"], axis: int
) -> tuple[int, float]:
    """The layer along an axis with the most voxels, and their area in mm2."""
    counts = np.bincount(voxels[:, axis])
    area = float(np.prod(np.delete(spacing_mm, axis)))
    return int(counts.argmax()), float(counts.max()) * area

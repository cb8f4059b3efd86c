"""The three anatomical planes of a scan as displayed: R, A and S to the right or up."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

from voltween.spatial import Grid, directions_to_ras

LONGEST_SIDE_VOXELS = 224

# The sides have no names, because they differ between the three planes.
Section = Float[np.ndarray, "_ _"]


@dataclass(frozen=True)
class Plane:
    """A section of a grid in RAS order: its normal axis and the names of its sides."""

    axis: int
    left: str
    right: str
    top: str

    def slab(self, grid: Grid, thickness: int) -> Grid:
        """The grid of the middle layers; `thickness` is their number, which is odd."""
        first = np.zeros(3)
        first[self.axis] = grid.shape[self.axis] // 2 - thickness // 2
        affine = grid.affine.copy()
        affine[:3, 3] = grid.voxel_to_world(first)
        i, j, k = (
            thickness if axis == self.axis else size
            for axis, size in enumerate(grid.shape)
        )
        return Grid((i, j, k), affine)

    def window(
        self,
        directions: Float[np.ndarray, "3 3"],
        center_mm: Float[np.ndarray, " 3"],
        *,
        half_mm: float,
        pixels: int,
    ) -> Grid:
        """The grid of one layer of `pixels` by `pixels` around a position in RAS+ mm.

        It extends `half_mm` to each side. Column c of `directions` is the direction of
        grid axis c, nearest to R, A and S.
        """
        spacing_mm = 2 * half_mm / pixels
        i, j, k = (1 if axis == self.axis else pixels for axis in range(3))
        return Grid.centered(
            (i, j, k),
            center_mm=center_mm,
            spacing_mm=(spacing_mm,) * 3,
            directions=directions,
        )

    def section(self, slab: Shaped[np.ndarray, "i j k"]) -> Shaped[np.ndarray, "_ _"]:
        """The middle layer of a slab as displayed: second axis up, first right."""
        middle = slab.shape[self.axis] // 2
        return slab.take(middle, axis=self.axis).T[::-1]


PLANES = (
    Plane(2, "L", "R", "A"),
    Plane(1, "L", "R", "S"),
    Plane(0, "P", "A", "S"),
)


def display_grid(grid: Grid, longest_side: int = LONGEST_SIDE_VOXELS) -> Grid:
    """The grid of cubic voxels in RAS order over a field of view, one per pixel.

    `longest_side` is the number of voxels along its longest side.
    """
    directions = directions_to_ras(grid)
    extent_mm = grid.extent_mm(directions)
    longest_mm = extent_mm.max() or grid.spacing_mm.min()  # a single voxel has none
    spacing_mm = longest_mm / (longest_side - 1)
    sizes = np.maximum(np.round(extent_mm / spacing_mm).astype(int) + 1, 2)
    return Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=grid.center_mm,
        spacing_mm=(float(spacing_mm),) * 3,
        directions=directions,
    )

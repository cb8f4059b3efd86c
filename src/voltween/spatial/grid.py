"""The grid of an image: its shape and place in scanner space (RAS+ mm)."""

import operator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from voltween.errors import InputError
from voltween.spatial.ranges import check_range, check_spacing, real_numbers


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """The shape of a 3D array and the world positions of its voxel centers.

    Raises:
        InputError: If the shape or affine cannot be that of a 3D image.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    """(4, 4), voxel center (i, j, k) to RAS+ mm; float64, read-only."""

    def __post_init__(self) -> None:
        affine = real_numbers(self.affine, "grid affine", "a finite 4x4 matrix")
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(
                about="grid affine",
                expected="a finite 4x4 matrix",
                got=affine.tolist(),
            )
        if not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise InputError(
                about="grid affine",
                expected="a last row of 0 0 0 1",
                got=affine[3].tolist(),
            )
        if abs(np.linalg.det(_directions(affine))) < 1e-3:
            raise InputError(
                about="grid affine",
                expected="columns that span three directions",
                got=affine[:3, :3].tolist(),
                advice="if a file has it, the file's header is damaged",
            )
        check_range(affine, "grid affine")
        check_spacing(np.linalg.norm(affine[:3, :3], axis=0), "grid affine")
        shape = _whole_shape(self.shape)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    def __repr__(self) -> str:
        return f"<Grid {self.words}>"

    @property
    def words(self) -> str:
        """Shape, voxel size and direction of the axes, as '120x120x90, 2 mm, PSR'."""
        sides = [f"{side:.3g}" for side in self.spacing_mm]
        spacing = sides[0] if len(set(sides)) == 1 else "x".join(sides)
        return f"{'x'.join(map(str, self.shape))}, {spacing} mm, {self.axcodes}"

    @classmethod
    def centered(
        cls,
        shape: tuple[int, int, int],
        *,
        center_mm: Float[np.ndarray, " 3"],
        spacing_mm: tuple[float, float, float],
        directions: Float[np.ndarray, "3 3"],
    ) -> "Grid":
        """Makes a grid with its middle at `center_mm`, RAS+ mm.

        Column c of `directions` is the unit vector, in RAS+, of array axis c.
        """
        affine = np.eye(4)
        affine[:3, :3] = directions * np.asarray(spacing_mm)
        affine[:3, 3] = center_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> Float[np.ndarray, " 3"]:
        """Distance between neighboring voxel centers along each array axis, in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def center_mm(self) -> Float[np.ndarray, " 3"]:
        """World position of the middle of the grid, RAS+ mm."""
        return self.voxel_to_world((np.array(self.shape) - 1) / 2)

    @property
    def axcodes(self) -> str:
        """Direction in which each array axis runs, such as 'RAS'. For display only."""
        codes = ("LR", "PA", "IS")
        letters = []
        for column, world_axis in zip(
            _directions(self.affine).T, nearest_world_axes(self), strict=True
        ):
            letters.append(codes[world_axis][int(column[world_axis] > 0)])
        return "".join(letters)

    def voxel_to_world(
        self, voxels: Float[np.ndarray, "*n 3"]
    ) -> Float[np.ndarray, "*n 3"]:
        """World positions, RAS+ mm, of voxel positions (i, j, k)."""
        return voxels @ self.affine[:3, :3].T + self.affine[:3, 3]

    def world_to_voxel(
        self, positions_mm: Float[np.ndarray, "*n 3"]
    ) -> Float[np.ndarray, "*n 3"]:
        """Voxel positions (i, j, k) of world positions, RAS+ mm."""
        inverse = np.linalg.inv(self.affine)
        return positions_mm @ inverse[:3, :3].T + inverse[:3, 3]

    def voxel_centers_mm(self) -> Float[np.ndarray, "i j k 3"]:
        """World positions, RAS+ mm, of all voxel centers."""
        return self.voxel_to_world(np.moveaxis(np.indices(self.shape, float), 0, -1))

    def corners_mm(self, *, margin_voxels: float = 0.0) -> Float[np.ndarray, "8 3"]:
        """World positions, RAS+ mm, of the outermost voxel centers at the corners.

        `margin_voxels` moves them outwards: 0.5 gives the outer corners of the voxels.
        """
        lengths = np.array(self.shape) - 1.0 + 2 * margin_voxels
        corners = np.array(list(np.ndindex(2, 2, 2))) * lengths - margin_voxels
        return self.voxel_to_world(corners)

    def extent_mm(
        self, directions: Float[np.ndarray, "3 3"]
    ) -> Float[np.ndarray, " 3"]:
        """Extent in mm of the voxel centers along each column of `directions`, RAS+."""
        return np.ptp((self.corners_mm() - self.center_mm) @ directions, axis=0)

    def pad(self, voxels: int | Int[np.ndarray, "3 2"]) -> "Grid":
        """Adds voxels on every side, or so many before and behind each axis.

        The existing voxels keep their places.
        """
        sides = np.broadcast_to(voxels, (3, 2))
        affine = self.affine.copy()
        affine[:3, 3] = self.voxel_to_world(-sides[:, 0].astype(np.float64))
        i, j, k = (int(n) for n in self.shape + sides.sum(axis=1))
        return Grid((i, j, k), affine)

    def planes(self, first: int, stop: int) -> "Grid":
        """The grid of the planes from `first` to before `stop` of the first axis."""
        affine = self.affine.copy()
        affine[:3, 3] = self.voxel_to_world(np.array([first, 0.0, 0.0]))
        return Grid((stop - first, *self.shape[1:]), affine)

    def is_close(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Whether two grids have one shape and voxel centers within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        distances_mm = np.abs(self.corners_mm() - other.corners_mm())
        return bool(distances_mm.max() <= tolerance_mm)


def _whole_shape(sizes: Any) -> tuple[int, int, int]:
    """Three sizes as integers.

    Raises:
        InputError: If they are something else.
    """
    try:
        i, j, k = (operator.index(n) for n in sizes)
    except (TypeError, ValueError):
        i = j = k = 0
    if min(i, j, k) < 1:
        is_array = isinstance(sizes, np.ndarray) and sizes.ndim > 1
        raise InputError(
            about="grid shape",
            expected="three positive sizes",
            got=f"an array of shape {sizes.shape}" if is_array else sizes,
            advice="give its .shape" if is_array else "",
        )
    return i, j, k


def nearest_world_axes(grid: Grid) -> tuple[int, int, int]:
    """For each array axis, the world axis (0 R, 1 A, 2 S) nearest to its direction."""
    alignment = np.abs(_directions(grid.affine))
    best = max(permutations(range(3)), key=lambda p: alignment[p, (0, 1, 2)].sum())
    return best[0], best[1], best[2]


def directions_to_ras(grid: Grid) -> Float[np.ndarray, "3 3"]:
    """The directions of the grid's axes, reordered and flipped nearest to R, A and S.

    Column c is a unit vector in RAS+. The columns are orthogonal even if the grid is
    sheared (the nearest rotation is taken), and the same for all 48 storage orders.
    """
    axes = nearest_world_axes(grid)
    columns = _directions(grid.affine)[:, np.argsort(axes)]
    columns = columns * np.sign(np.diag(columns))
    left, _, right = np.linalg.svd(columns)
    return left @ right


def spacing_and_shape(
    grid: Grid,
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Voxel size in mm and number of voxels, along the axes nearest to R, A and S."""
    order = np.argsort(nearest_world_axes(grid))
    return grid.spacing_mm[order], np.array(grid.shape, float)[order]


def _directions(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3 3"]:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return affine[:3, :3] / np.where(lengths > 0, lengths, 1)

"""Where voxels are: a grid in scanner space (RAS+ mm)."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Grid:
    """Shape of an array and where its voxel centers are.

    Raises:
        InputError: If shape or affine cannot be those of a 3D image.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    """(4, 4), voxel center (i, j, k) to RAS+ mm; float64, read-only."""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise InputError(
                f"grid affine must be a finite 4x4 matrix, got {affine.tolist()}"
            )
        if not np.array_equal(affine[3], [0, 0, 0, 1]):
            raise InputError(f"grid affine must end in 0 0 0 1, got {affine[3]}")
        if abs(np.linalg.det(_directions(affine))) < 1e-3:
            raise InputError(
                "grid affine must span three directions, got spacing and directions "
                f"{affine[:3, :3].tolist()}: the file's header is damaged"
            )
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"grid shape must be three positive sizes, got {shape}")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", shape)

    @classmethod
    def centered(
        cls,
        shape: tuple[int, int, int],
        *,
        center_mm: Float[np.ndarray, " 3"],
        spacing_mm: tuple[float, float, float],
        directions: Float[np.ndarray, "3 3"],
    ) -> "Grid":
        """Grid whose middle lies at `center_mm`; column c of `directions` is axis c."""
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
        """Middle of the grid, RAS+ mm."""
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
        """World position, RAS+ mm, of (i, j, k) positions."""
        return voxels @ self.affine[:3, :3].T + self.affine[:3, 3]

    def world_to_voxel(
        self, positions_mm: Float[np.ndarray, "*n 3"]
    ) -> Float[np.ndarray, "*n 3"]:
        """Position (i, j, k) of RAS+ mm positions."""
        inverse = np.linalg.inv(self.affine)
        return positions_mm @ inverse[:3, :3].T + inverse[:3, 3]

    def voxel_centers_mm(self) -> Float[np.ndarray, "i j k 3"]:
        """World position, RAS+ mm, of every voxel center."""
        return self.voxel_to_world(np.moveaxis(np.indices(self.shape, float), 0, -1))

    def pad(self, voxels: int) -> "Grid":
        """The grid with `voxels` more on every side; its old voxels stay in place."""
        affine = self.affine.copy()
        affine[:3, 3] = self.voxel_to_world(np.full(3, -float(voxels)))
        i, j, k = (n + 2 * voxels for n in self.shape)
        return Grid((i, j, k), affine)

    def is_close(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Whether both have one shape and voxel centers within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(self.shape) - 1.0)
        distances = self.voxel_to_world(corners) - other.voxel_to_world(corners)
        return bool(np.abs(distances).max() <= tolerance_mm)


def nearest_world_axes(grid: Grid) -> tuple[int, int, int]:
    """For each array axis the world axis (0 R, 1 A, 2 S) it runs along most nearly."""
    alignment = np.abs(_directions(grid.affine))
    best = max(permutations(range(3)), key=lambda p: alignment[p, (0, 1, 2)].sum())
    return best[0], best[1], best[2]


def directions_to_ras(grid: Grid) -> Float[np.ndarray, "3 3"]:
    """The grid's own axes, reordered and turned to lie nearest to R, A and S.

    Column c is a unit vector; the columns are orthogonal even where the grid is
    sheared (the nearest rotation is taken). The same for all 48 storage orders.
    """
    axes = nearest_world_axes(grid)
    columns = _directions(grid.affine)[:, np.argsort(axes)]
    columns = columns * np.sign(np.diag(columns))
    left, _, right = np.linalg.svd(columns)
    return left @ right


def spacing_and_shape(
    grid: Grid,
) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
    """Voxel size in mm and voxels along the grid's axes nearest to R, A and S."""
    order = np.argsort(nearest_world_axes(grid))
    return grid.spacing_mm[order], np.array(grid.shape, float)[order]


def _directions(affine: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3 3"]:
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return affine[:3, :3] / np.where(lengths > 0, lengths, 1)

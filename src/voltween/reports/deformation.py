"""A transform for the viewer: coarsely, for the deformed grid and the volume change.

Positions are those in the moving scan, carried back to the fixed scan's world by the
affine map nearest to the initial alignment: before the registration, the grid is even.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from voltween.figures import LARGEST_LOG_JACOBIAN, display_grid
from voltween.reports.sprites import exact_sprite
from voltween.spatial import Affine, Grid, Image, Transform

_LONGEST_SIDE = 44  # voxels of the coarse grid
_FOLD = 0  # the byte of a voxel that folds; the others are 1 to 255
_NEGLIGIBLE = 1e-3  # voxels


class Deformation(NamedTuple):
    """The grids on which deformations are shown, and the initial alignment."""

    shown: Grid
    """The grid on which the scans are shown."""
    coarse: Grid
    """Over the same field of view."""
    start: Affine
    """The affine map nearest to the initial alignment, fixed to moving mm."""

    @classmethod
    def of(cls, shown: Grid, before: Transform) -> "Deformation":
        """The coarse grid over another one, and the affine map nearest to `before`."""
        coarse = display_grid(shown, min(_LONGEST_SIDE, max(shown.shape)))
        positions_mm = coarse.voxel_centers_mm().reshape(-1, 3)
        nearest = _nearest_affine(positions_mm, before.map_positions(positions_mm))
        matrix = np.eye(4)
        matrix[:3] = nearest.T
        start = before if isinstance(before, Affine) else Affine(matrix)
        return cls(shown, coarse, start)

    def describe(self, transform: Transform) -> dict[str, Any]:
        """Positions and volume change, for the script of the viewer.

        `affine` (3 x 4) maps voxels of the shown grid to voxels in which lines of the
        deformed grid are even; `residual` holds what the transform adds, in bytes from
        -`reach` to `reach` voxels; `jacobian` the volume change (`jacobian_levels`).
        """
        positions_mm = self.coarse.voxel_centers_mm().reshape(-1, 3)
        voxels = self.shown.world_to_voxel(positions_mm)
        mapped_mm = self.start.inverse().map_positions(
            transform.map_positions(positions_mm)
        )
        mapped = self.shown.world_to_voxel(mapped_mm)
        nearest = _nearest_affine(voxels, mapped)
        residual = mapped - _homogeneous(voxels) @ nearest
        reach = float(np.abs(residual).max())
        levels = jacobian_levels(transform.determinants(self.coarse))
        result = {
            "affine": nearest.T.tolist(),
            "residual": None,
            "reach": reach,
            "jacobian": exact_sprite(levels).as_dict(),
        }
        if reach > _NEGLIGIBLE:
            colors = np.rint(residual / reach * 127 + 128).astype(np.uint8)
            volume = colors.reshape(*self.coarse.shape, 3)
            result["residual"] = exact_sprite(volume).as_dict()
        return result


def jacobian_levels(
    determinants: Float[np.ndarray, "i j k"],
) -> UInt8[np.ndarray, "i j k"]:
    """The logarithms of base 2 as bytes 1 to 255, with 128 for none; folds are 0."""
    logarithm = np.log2(determinants.clip(2.0**-6)) / LARGEST_LOG_JACOBIAN
    levels = np.rint(logarithm.clip(-1, 1) * 127 + 128).astype(np.uint8)
    return np.where(determinants > 0, levels, np.uint8(_FOLD))


def folds_on(jacobian: Image, shown: Grid) -> Bool[np.ndarray, "i j k"] | None:
    """The voxels of the shown grid nearest to a voxel that folds; None if none does."""
    folding = np.argwhere(jacobian.data <= 0)
    if not len(folding):
        return None
    positions_mm = jacobian.grid.voxel_to_world(folding.astype(float))
    nearest = np.rint(shown.world_to_voxel(positions_mm)).astype(int)
    nearest = nearest.clip(0, np.array(shown.shape) - 1)
    result = np.zeros(shown.shape, bool)
    result[tuple(nearest.T)] = True
    return result


def _nearest_affine(
    positions: Float[np.ndarray, "n 3"], mapped: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "4 3"]:
    return np.linalg.lstsq(_homogeneous(positions), mapped, rcond=None)[0]


def _homogeneous(positions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 4"]:
    return np.concatenate([positions, np.ones((len(positions), 1))], axis=1)

"""Displacement fields that are smooth between their voxels."""

from functools import cached_property
from typing import final

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.spatial.grid import Grid
from voltween.spatial.inversion import inverse_flow
from voltween.spatial.splines import (
    multiply_axes,
    read_spline,
    spline_coefficients,
    spline_transform,
    spline_values,
    spline_weights,
)
from voltween.spatial.transform import DisplacementField, Field

_ALIGNED_VOXELS = 1e-3


@final
class SplineField(Field):
    """T(x) = x + u(x), with u a cubic B-spline through the vectors at the voxels.

    Both derivatives of u are continuous, so that maps of its Jacobian determinant on
    finer grids show no trace of the voxels. As in ITK's B-spline transform, T is the
    identity beyond the voxels next to the outermost ones. A field that has faded to
    zero there is smooth everywhere.

    Raises:
        InputError: If the vectors are not (I, J, K, 3) on the grid, or not finite.
    """

    @classmethod
    def from_coefficients(
        cls, coefficients_mm: Float[np.ndarray, "i j k 3"], grid: Grid
    ) -> "SplineField":
        """Makes a field from the spline's coefficients in RAS+ mm, one per voxel."""
        values = spline_values(np.moveaxis(coefficients_mm, -1, 0))
        return cls(grid, np.moveaxis(values, 0, -1))

    @cached_property
    def coefficients_mm(self) -> Float[np.ndarray, "i j k 3"]:
        """Coefficients of the spline in RAS+ mm, one per voxel."""
        return np.moveaxis(self._coefficients_mm, 0, -1)

    @cached_property
    def _coefficients_mm(self) -> Float[np.ndarray, "3 i j k"]:
        return spline_coefficients(np.moveaxis(self.vectors_mm, -1, 0))

    @cached_property
    def _sitk(self) -> sitk.BSplineTransform:
        to_voxels = np.linalg.inv(self.grid.affine[:3, :3])
        return spline_transform(np.tensordot(to_voxels, self._coefficients_mm, 1))

    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        voxels = self.grid.world_to_voxel(fixed_mm)
        inside = ((voxels >= 0) & (voxels < self.grid.shape)).all(axis=1)
        flow = self.read(voxels[inside].T)
        mapped = fixed_mm.copy()
        mapped[inside] += flow.T @ self.grid.affine[:3, :3].T
        return mapped

    def read(self, voxels: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "3 n"]:
        return read_spline(self._sitk, voxels)

    def inverse_flow(
        self,
    ) -> tuple[Float[np.ndarray, "3 i j k"], Float[np.ndarray, "3 n"]]:
        return inverse_flow(np.ascontiguousarray(self.to_flow()), self.read)

    def sitk_voxel_map(self) -> sitk.Transform:
        return self._sitk

    def sampled(self, onto: Grid) -> DisplacementField | None:
        """The displacements at the voxels of a grid with the same axes, if it has them.

        They may be in another order or direction. This takes a ninth of the time that
        ITK takes at positions without an order.
        """
        to_own = np.linalg.inv(self.grid.affine) @ onto.affine
        axes = np.abs(to_own[:3, :3]).argmax(axis=1)
        if sorted(axes) != [0, 1, 2] or not _is_aligned(to_own[:3, :3], axes, onto):
            return None
        weights = [
            spline_weights(
                to_own[own, axis] * np.arange(onto.shape[axis]) + to_own[own, 3],
                self.grid.shape[own],
            )
            for own, axis in enumerate(axes)
        ]
        used = [_used(each) for each in weights]
        vectors = multiply_axes(
            [each[:, part] for each, part in zip(weights, used, strict=True)],
            self._coefficients_mm[:, used[0], used[1], used[2]],
        )
        in_order = vectors.transpose(*(1 + np.argsort(axes)), 0)
        return DisplacementField(onto, in_order)


def _is_aligned(to_own: Float[np.ndarray, "3 3"], axes: np.ndarray, onto: Grid) -> bool:
    """Whether every axis of the field depends on one axis of `onto` alone."""
    others = np.abs(to_own) * np.array(onto.shape)
    others[np.arange(3), axes] = 0
    return bool(others.max() < _ALIGNED_VOXELS)


def _used(weights: Float[np.ndarray, "n size"]) -> slice:
    """The range of coefficients that have a weight; the first one if none has."""
    used = np.flatnonzero(weights.any(axis=0))
    return slice(used[0], used[-1] + 1) if used.size else slice(0, 1)

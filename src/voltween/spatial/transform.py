"""Transforms y = T(x) from FIXED world mm to MOVING world mm (RAS+).

`map_points` carries points from fixed to moving. `resample` carries images the other
way: it fills a grid in fixed space with moved(x) = moving(T(x)).

SimpleITK resamples (see `sitk_chain`). A spline field whose axes are those of the grid
asked for is sampled there first, slab by slab: that takes a ninth of the time.
"""

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, final

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float, Num

from voltween.errors import InputError, InverseWarning
from voltween.spatial.determinants import determinants, slabs
from voltween.spatial.grid import Grid
from voltween.spatial.interpolation import read_linearly
from voltween.spatial.inversion import inverse_flow
from voltween.spatial.ranges import check_range
from voltween.spatial.sitk_chain import (
    Warp,
    displacements_mm,
    sitk_chain,
    sitk_displacements,
)
from voltween.spatial.volume import Image, Points, Volume

logger = logging.getLogger(__name__)
V = TypeVar("V", bound=Volume)
F = TypeVar("F", bound="Field")

_ACCEPTABLE_RESIDUAL_VOXELS = 0.1


class Transform(ABC):
    """A map of fixed world mm to moving world mm (RAS+)."""

    @abstractmethod
    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        """Maps positions in fixed world mm to moving world mm, both RAS+."""

    @abstractmethod
    def inverse(self) -> "Transform":
        """Computes the inverse, which maps moving world mm to fixed world mm.

        A displacement field is inverted voxel by voxel (see `inversion`). Where it
        folds it has no inverse. An `InverseWarning` states the largest error at its
        voxels where it folds, or where that error is above a tenth of a voxel.
        """

    @abstractmethod
    def parts(self) -> tuple["Affine | Field", ...]:
        """The elementary transforms that this one is composed of, outermost first."""

    @final
    def map_points(self, fixed_points: Points) -> Points:
        """Maps points from fixed to moving world mm, RAS+; their names stay."""
        return Points(self.map_positions(fixed_points.mm), fixed_points.names)

    @final
    def resample(self, moving: V, *, onto: Grid) -> V:
        """Resamples the moving image onto a grid in fixed space: moving(T(x)).

        An `Image` is interpolated linearly and continued by its `outside_value`, a
        `LabelMap` by nearest neighbor and continued by 0.
        """
        data = _resample(moving, self.parts(), onto)
        return type(moving)(data, onto)

    @final
    def __matmul__(self, inner: "Transform") -> "Transform":
        """Composes to x -> self(inner(x)); neighboring affines are multiplied."""
        parts: list[Affine | Field] = []
        for part in (*self.parts(), *inner.parts()):
            if parts and isinstance(part, Affine) and isinstance(parts[-1], Affine):
                parts[-1] = Affine(parts[-1].matrix @ part.matrix)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Composite(tuple(parts))

    @final
    def to_field(self, grid: Grid) -> "DisplacementField":
        """Computes the displacements T(x) - x in mm at the voxel centers of `grid`."""
        vectors = np.empty((*grid.shape, 3))
        for planes, slab, parts in _in_slabs(self.parts(), grid):
            # The map from voxels to voxels of one grid has the flow as displacements.
            chain = _sitk_chain(parts, onto=slab, moving=slab)
            vectors[planes] = displacements_mm(chain, slab)
        return DisplacementField(grid, vectors)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Affine(Transform):
    """T(x) = M x in homogeneous coordinates, RAS+ mm.

    Raises:
        InputError: If the matrix is not a finite, invertible 4x4 affine matrix.
    """

    matrix: np.ndarray
    """(4, 4) float64, read-only."""

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise InputError(
                about="affine", expected="a finite 4x4 matrix", got=matrix.tolist()
            )
        if not np.allclose(matrix[3], [0, 0, 0, 1], rtol=0, atol=1e-9):
            raise InputError(
                about="affine", expected="a last row of 0 0 0 1", got=matrix[3].tolist()
            )
        check_range(matrix, "affine")
        if abs(np.linalg.det(matrix)) < 1e-12:
            raise InputError(
                about="affine", expected="an invertible matrix", got=matrix.tolist()
            )
        matrix[3] = 0, 0, 0, 1
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls) -> "Affine":
        """The map x -> x."""
        return cls(np.eye(4))

    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        return fixed_mm @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def inverse(self) -> "Affine":
        return Affine(np.linalg.inv(self.matrix))

    def parts(self) -> tuple["Affine | Field", ...]:
        return (self,)


@dataclass(frozen=True, eq=False)
class Field(Transform):
    """T(x) = x + u(x), with u given at the voxels of a grid.

    Raises:
        InputError: If the vectors are not (I, J, K, 3) on the grid, or not finite.
    """

    grid: Grid
    vectors_mm: np.ndarray
    """(I, J, K, 3), u in RAS+ mm at the voxel centers, float64, read-only."""

    def __post_init__(self) -> None:
        vectors = np.ascontiguousarray(self.vectors_mm, dtype=np.float64).view()
        if vectors.shape != (*self.grid.shape, 3):
            raise InputError(
                about="displacement field",
                expected=f"shape {(*self.grid.shape, 3)}",
                got=vectors.shape,
            )
        if not np.isfinite(vectors).all():
            raise InputError(
                about="displacement field",
                expected="finite vectors",
                got="NaN or infinity",
            )
        check_range(vectors, "displacement field")
        vectors.setflags(write=False)
        object.__setattr__(self, "vectors_mm", vectors)

    @abstractmethod
    def read(self, voxels: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "3 n"]:
        """Reads the displacements in voxels at voxel positions (i, j, k).

        They are continued beyond the grid as inversion needs it: without a jump.
        """

    @abstractmethod
    def inverse_flow(
        self,
    ) -> tuple[Float[np.ndarray, "3 i j k"], Float[np.ndarray, "3 n"]]:
        """Computes the flow of the inverse on the same grid, and its residual.

        Both in voxels; the residual is that of voxels whose origin is in the grid.
        """

    @abstractmethod
    def sitk_voxel_map(self) -> sitk.Transform:
        """SimpleITK's map of the grid's voxels (k, j, i) to voxels."""

    @abstractmethod
    def sampled(self, onto: Grid) -> "DisplacementField | None":
        """The displacements at a grid's voxels, where this is faster than by ITK."""

    @classmethod
    @final
    def from_flow(cls: type[F], flow: Num[np.ndarray, "3 i j k"], grid: Grid) -> F:
        """Makes a field from a flow in voxels of `grid`, component c along axis c."""
        vectors = np.moveaxis(flow, 0, -1).astype(np.float64, order="C")
        return cls(grid, vectors @ grid.affine[:3, :3].T)

    @final
    def to_flow(self) -> Float[np.ndarray, "3 i j k"]:
        """Converts to displacements in voxels of the grid, component c along axis c."""
        inverse = np.linalg.inv(self.grid.affine[:3, :3])
        return np.moveaxis(self.vectors_mm @ inverse.T, -1, 0)

    @final
    def inverse(self: F) -> F:
        inverse, residual_mm = self.inverse_with_residual()
        folding_percent = self.folding_percent()
        logger.info("inverse of a displacement field: residual %.2g mm", residual_mm)
        acceptable_mm = _ACCEPTABLE_RESIDUAL_VOXELS * self.grid.spacing_mm.min()
        if folding_percent > 0 or residual_mm > acceptable_mm:
            folding = f"{folding_percent:.3g} % of the displacement field's voxels fold"
            warnings.warn(
                (f"{folding}, where it has no inverse: " if folding_percent else "")
                + "the inverse of the displacement field has errors of up to "
                f"{residual_mm:.3g} mm at its voxels",
                InverseWarning,
                stacklevel=2,
            )
        return inverse

    @final
    def inverse_with_residual(self: F) -> tuple[F, float]:
        """Computes the inverse on the same grid, and its largest error in mm.

        The error |T(T^-1(y)) - y| is that of voxels y with T^-1(y) inside the grid.
        """
        flow, residual = self.inverse_flow()
        residual_mm = np.linalg.norm(self.grid.affine[:3, :3] @ residual, axis=0)
        inverse = type(self).from_flow(flow, self.grid)
        return inverse, float(residual_mm.max(initial=0.0))

    @final
    def folding_percent(self) -> float:
        """Percentage of voxels at which the Jacobian determinant is not positive."""
        return 100 * float((self.jacobian_determinant() <= 0).mean())

    @final
    def jacobian_determinant(self) -> Float[np.ndarray, "i j k"]:
        """Ratio of local volume in moving space to that in fixed space, at every voxel.

        By central differences, one-sided at the border.
        """
        return determinants(self.vectors_mm, self.grid.affine)

    @final
    def parts(self) -> tuple["Affine | Field", ...]:
        return (self,)


@final
class DisplacementField(Field):
    """T(x) = x + u(x), with u interpolated linearly between the voxels of its grid.

    More than half a voxel beyond the outermost voxel centers T is the identity, as in
    ITK.

    Raises:
        InputError: If the vectors are not (I, J, K, 3) on the grid, or not finite.
    """

    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        voxels = self.grid.world_to_voxel(fixed_mm)
        top = np.array(self.grid.shape) - 0.5
        inside = ((voxels >= -0.5) & (voxels < top)).all(axis=1)
        vectors = np.moveaxis(self.vectors_mm, -1, 0)
        mapped = fixed_mm.copy()
        mapped[inside] += read_linearly(vectors, voxels[inside].T).T
        return mapped

    def read(self, voxels: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "3 n"]:
        return read_linearly(self._flow, voxels)

    @cached_property
    def _flow(self) -> Float[np.ndarray, "3 i j k"]:
        return np.ascontiguousarray(self.to_flow())

    def inverse_flow(
        self,
    ) -> tuple[Float[np.ndarray, "3 i j k"], Float[np.ndarray, "3 n"]]:
        return inverse_flow(self._flow)

    def sitk_voxel_map(self) -> sitk.Transform:
        return sitk_displacements(self.vectors_mm, self.grid)

    def sampled(self, onto: Grid) -> None:
        return None


@final
@dataclass(frozen=True, eq=False, slots=True)
class Composite(Transform):
    """T(x) = outermost(...(innermost(x))), made by `@`; interpolates images once."""

    transforms: tuple[Affine | Field, ...]
    """Outermost first."""

    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        for transform in reversed(self.transforms):
            fixed_mm = transform.map_positions(fixed_mm)
        return fixed_mm

    def inverse(self) -> "Composite":
        return Composite(tuple(part.inverse() for part in reversed(self.transforms)))

    def parts(self) -> tuple["Affine | Field", ...]:
        return self.transforms


def _resample(
    moving: Volume, parts: tuple[Affine | Field, ...], onto: Grid
) -> np.ndarray:
    """Interpolates the moving voxels at T(voxel centers of `onto`)."""
    is_image = isinstance(moving, Image)
    image = sitk.GetImageFromArray(moving.data)
    result = np.empty(onto.shape, sitk.GetArrayViewFromImage(image).dtype)
    for planes, slab, slab_parts in _in_slabs(parts, onto):
        resampled = sitk.Resample(
            image,
            slab.shape[::-1],
            _sitk_chain(slab_parts, onto=slab, moving=moving.grid),
            sitk.sitkLinear if is_image else sitk.sitkNearestNeighbor,
            defaultPixelValue=moving.outside_value if isinstance(moving, Image) else 0,
        )
        result[planes] = sitk.GetArrayViewFromImage(resampled)
    return result


def _in_slabs(
    parts: tuple[Affine | Field, ...], onto: Grid
) -> Iterator[tuple[slice, Grid, tuple[Affine | Field, ...]]]:
    """Yields slabs of a grid, and the parts with the innermost sampled on the slab.

    One slab with the parts themselves where sampling would not be faster.
    """
    *outer, innermost = parts
    size, *plane = onto.shape
    for first, stop in slabs(size, plane[0] * plane[1]):
        slab = onto.planes(first, stop)
        sampled = None if isinstance(innermost, Affine) else innermost.sampled(slab)
        if sampled is None:
            yield slice(None), onto, parts
            return
        yield slice(first, stop), slab, (*outer, sampled)


def _sitk_chain(
    parts: tuple[Affine | Field, ...], *, onto: Grid, moving: Grid
) -> sitk.CompositeTransform:
    steps = [
        part.matrix
        if isinstance(part, Affine)
        else Warp(part.grid, part.sitk_voxel_map())
        for part in parts
    ]
    return sitk_chain(steps, onto=onto, moving=moving)

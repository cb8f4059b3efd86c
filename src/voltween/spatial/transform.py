"""Transforms y = T(x) from FIXED world mm to MOVING world mm (RAS+).

`map_points` carries points from fixed to moving. `resample` carries images the other
way: it fills a grid in fixed space with moved(x) = moving(T(x)).

SimpleITK resamples. It is given voxel coordinates, so that neither world coordinates
nor LPS occur here. They are in the order (k, j, i), because an array's last axis is
SimpleITK's first; thus no array has to be transposed.
"""

import logging
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float, Num

from voltween.errors import InputError, InverseWarning
from voltween.spatial.grid import Grid
from voltween.spatial.interpolation import read_linearly
from voltween.spatial.inversion import inverse_flow
from voltween.spatial.volume import Image, Points, Volume

logger = logging.getLogger(__name__)
V = TypeVar("V", bound=Volume)

_ACCEPTABLE_RESIDUAL_VOXELS = 0.1
_REVERSED = np.eye(4)[[2, 1, 0, 3]]  # (i, j, k) to (k, j, i), and back


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
    def parts(self) -> tuple["Affine | DisplacementField", ...]:
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
        parts: list[Affine | DisplacementField] = []
        for part in (*self.parts(), *inner.parts()):
            if parts and isinstance(part, Affine) and isinstance(parts[-1], Affine):
                parts[-1] = Affine(parts[-1].matrix @ part.matrix)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Composite(tuple(parts))

    @final
    def to_field(self, grid: Grid) -> "DisplacementField":
        """Computes the displacements T(x) - x in mm at the voxel centers of `grid`."""
        # The map from voxels to voxels of one grid has the flow as displacements.
        chain = _sitk_chain(self.parts(), onto=grid, moving=grid)
        field = sitk.TransformToDisplacementField(
            chain, sitk.sitkVectorFloat64, grid.shape[::-1]
        )
        to_world = (grid.affine @ _REVERSED)[:3, :3]
        return DisplacementField(grid, sitk.GetArrayViewFromImage(field) @ to_world.T)


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

    def parts(self) -> tuple["Affine | DisplacementField", ...]:
        return (self,)


@final
@dataclass(frozen=True, eq=False, slots=True)
class DisplacementField(Transform):
    """T(x) = x + u(x), with u interpolated linearly between the voxels of its grid.

    More than half a voxel beyond the outermost voxel centers T is the identity, as in
    ITK.

    Raises:
        InputError: If the vectors are not (I, J, K, 3) on the grid, or not finite.
    """

    grid: Grid
    vectors_mm: np.ndarray
    """(I, J, K, 3), u in RAS+ mm, float64, read-only."""

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
        vectors.setflags(write=False)
        object.__setattr__(self, "vectors_mm", vectors)

    @classmethod
    def from_flow(
        cls, flow: Num[np.ndarray, "3 i j k"], grid: Grid
    ) -> "DisplacementField":
        """Makes a field from a flow in voxels of `grid`, component c along axis c."""
        vectors = np.moveaxis(flow, 0, -1).astype(np.float64, order="C")
        return cls(grid, vectors @ grid.affine[:3, :3].T)

    def to_flow(self) -> Float[np.ndarray, "3 i j k"]:
        """Converts to displacements in voxels of the grid, component c along axis c."""
        inverse = np.linalg.inv(self.grid.affine[:3, :3])
        return np.moveaxis(self.vectors_mm @ inverse.T, -1, 0)

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

    def inverse(self) -> "DisplacementField":
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

    def inverse_with_residual(self) -> tuple["DisplacementField", float]:
        """Computes the inverse on the same grid, and its largest error in mm.

        The error |T(T^-1(y)) - y| is that of voxels y with T^-1(y) inside the grid.
        """
        flow, residual = inverse_flow(np.ascontiguousarray(self.to_flow()))
        residual_mm = np.linalg.norm(self.grid.affine[:3, :3] @ residual, axis=0)
        inverse = DisplacementField.from_flow(flow, self.grid)
        return inverse, float(residual_mm.max(initial=0.0))

    def folding_percent(self) -> float:
        """Percentage of voxels at which the Jacobian determinant is not positive."""
        return 100 * float((self.jacobian_determinant() <= 0).mean())

    def jacobian_determinant(self) -> Float[np.ndarray, "i j k"]:
        """Ratio of local volume in moving space to that in fixed space, at every voxel.

        By central differences, one-sided at the border.
        """
        positions = self.to_flow() + np.indices(self.grid.shape)
        a, b, c = (np.gradient(component) for component in positions)
        return (
            a[0] * (b[1] * c[2] - b[2] * c[1])
            + a[1] * (b[2] * c[0] - b[0] * c[2])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
        )

    def parts(self) -> tuple["Affine | DisplacementField", ...]:
        return (self,)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Composite(Transform):
    """T(x) = outermost(...(innermost(x))), made by `@`; interpolates images once."""

    transforms: tuple[Affine | DisplacementField, ...]
    """Outermost first."""

    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        for transform in reversed(self.transforms):
            fixed_mm = transform.map_positions(fixed_mm)
        return fixed_mm

    def inverse(self) -> "Composite":
        return Composite(tuple(part.inverse() for part in reversed(self.transforms)))

    def parts(self) -> tuple["Affine | DisplacementField", ...]:
        return self.transforms


def _resample(
    moving: Volume, parts: tuple[Affine | DisplacementField, ...], onto: Grid
) -> np.ndarray:
    """Interpolates the moving voxels at T(voxel centers of `onto`)."""
    is_image = isinstance(moving, Image)
    resampled = sitk.Resample(
        sitk.GetImageFromArray(moving.data),
        onto.shape[::-1],
        _sitk_chain(parts, onto=onto, moving=moving.grid),
        sitk.sitkLinear if is_image else sitk.sitkNearestNeighbor,
        defaultPixelValue=moving.outside_value if isinstance(moving, Image) else 0,
    )
    return sitk.GetArrayFromImage(resampled)


def _sitk_chain(
    parts: tuple[Affine | DisplacementField, ...], *, onto: Grid, moving: Grid
) -> sitk.CompositeTransform:
    """The map from `onto` voxel to fixed mm, through the parts, to moving mm and voxel.

    Neighboring affines are multiplied, because SimpleITK evaluates every part at every
    voxel.
    """
    chain: list[sitk.Transform] = []
    matrix: np.ndarray = _REVERSED @ np.linalg.inv(moving.affine)
    for part in parts:
        if isinstance(part, Affine):
            matrix = matrix @ part.matrix
        else:
            affine = part.grid.affine @ _REVERSED
            chain += [_sitk_affine(matrix @ affine), _sitk_field(part)]
            matrix = np.linalg.inv(affine)
    chain.append(_sitk_affine(matrix @ onto.affine @ _REVERSED))
    return sitk.CompositeTransform(chain)


def _sitk_affine(matrix: Float[np.ndarray, "4 4"]) -> sitk.AffineTransform:
    return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())


def _sitk_field(field: DisplacementField) -> sitk.DisplacementFieldTransform:
    """The field's displacements in voxels of its own grid, as (k, j, i)."""
    to_voxels = np.linalg.inv(field.grid.affine @ _REVERSED)[:3, :3]
    image = sitk.GetImageFromArray(field.vectors_mm @ to_voxels.T, isVector=True)
    return sitk.DisplacementFieldTransform(image)

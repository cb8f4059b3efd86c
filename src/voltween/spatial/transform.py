"""Transforms y = T(x) from FIXED world mm to MOVING world mm (RAS+).

`map_points` carries points from fixed to moving. `resample` carries images the other
way: it fills a grid in fixed space with moved(x) = moving(T(x)).

What is computed at every voxel of a grid is computed by compiled kernels (see `chain`).
"""

import logging
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TypeVar, final

import numpy as np
from jaxtyping import Bool, Float, Num

from voltween.errors import InputError, InverseWarning
from voltween.spatial.arguments import (
    as_positions,
    check_is_array,
    check_is_grid,
    check_is_points,
    check_is_transform,
    check_is_volume,
)
from voltween.spatial.chain import (
    Warp,
    between_grids,
    determinants,
    displacement_lengths_mm,
    displacements_mm,
    link,
    map_positions,
)
from voltween.spatial.grid import Grid
from voltween.spatial.interpolation import (
    Interpolation,
    check_interpolation,
    interpolate,
)
from voltween.spatial.inversion import inverse_vectors_mm
from voltween.spatial.label_reach import reach_of_labels
from voltween.spatial.native import native
from voltween.spatial.ranges import check_range, real_numbers
from voltween.spatial.volume import Image, LabelMap, Points, Volume

logger = logging.getLogger(__name__)
V = TypeVar("V", bound=Volume)
F = TypeVar("F", bound="Field")

_ACCEPTABLE_RESIDUAL_VOXELS = 0.1


class Transform(ABC):
    """A map of fixed world mm to moving world mm (RAS+)."""

    @abstractmethod
    def inverse(self) -> "Transform":
        """Computes the inverse, which maps moving world mm to fixed world mm.

        A displacement field is inverted voxel by voxel (see `inversion`). Where it
        folds it has no inverse. An `InverseWarning` states the largest error at its
        voxels where it folds, or where that error is above a tenth of a voxel.
        """

    @final
    def unchecked_inverse(self) -> "Transform":
        """Computes the inverse without a warning, for those who measure its error."""
        inverses = tuple(
            part.inverse()
            if isinstance(part, Affine)
            else part.inverse_with_residuals()[0]
            for part in reversed(self.parts())
        )
        return inverses[0] if len(inverses) == 1 else Composite(inverses)

    @abstractmethod
    def parts(self) -> tuple["Affine | Field", ...]:
        """The elementary transforms that this one is composed of, outermost first."""

    @final
    def map_positions(
        self, fixed_mm: Float[np.ndarray, "n 3"]
    ) -> Float[np.ndarray, "n 3"]:
        """Maps positions in fixed world mm to moving world mm, both RAS+."""
        chain = link(self._steps(), first=np.eye(4), last=np.eye(4))
        return map_positions(chain, as_positions(fixed_mm))

    @final
    def map_points(self, fixed_points: Points) -> Points:
        """Maps points from fixed to moving world mm, RAS+; their names stay."""
        check_is_points(fixed_points, Points)
        return Points(self.map_positions(fixed_points.mm), fixed_points.names)

    @final
    def resample(
        self,
        moving: V,
        *,
        onto: Grid,
        interpolation: Interpolation | None = None,
        fill: float | None = None,
    ) -> V:
        """Resamples the moving image onto a grid in fixed space: moving(T(x)).

        Unless something else is asked for, an `Image` is interpolated linearly and
        continued by its `outside_value`, a `LabelMap` by nearest neighbor and continued
        by 0.

        Raises:
            InputError: If the interpolation is that of the other class: a label map can
                be read by "nearest" and "label", an image by all but "label". Or if
                labels cannot hold the fill value.
        """
        check_is_volume(moving, (Image, LabelMap))
        check_is_grid(onto, "onto")
        is_image = isinstance(moving, Image)
        way = interpolation or ("linear" if is_image else "nearest")
        check_interpolation(way, is_image)
        if fill is None:
            fill = moving.outside_value if isinstance(moving, Image) else 0
        chain = self._between(onto, moving.grid)
        within = None
        if isinstance(moving, LabelMap) and way == "nearest" and fill == 0:
            within = reach_of_labels(moving, self._steps(), onto)
        data = interpolate(
            chain,
            moving.data,
            onto.shape,
            interpolation=way,
            fill=float(fill),
            within=within,
        )
        return type(moving)(data, onto)

    @final
    def __matmul__(self, inner: "Transform") -> "Transform":
        """Composes to x -> self(inner(x)); neighboring affines are multiplied."""
        check_is_transform(inner, Transform)
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
        return DisplacementField(grid, self.displacements_mm(grid))

    @final
    def displacements_mm(self, grid: Grid) -> Float[np.ndarray, "i j k 3"]:
        """As `to_field`, the bare vectors in RAS+ mm: for the slabs of a large scan."""
        check_is_grid(grid)
        # A map from voxels to voxels of one grid has the flow as displacements.
        return displacements_mm(self._between(grid, grid), grid)

    @final
    def lengths_mm(
        self, grid: Grid, where: Bool[np.ndarray, "i j k"]
    ) -> Float[np.ndarray, " n"]:
        """Computes |T(x) - x| in mm at the voxel centers of `grid` within a mask."""
        return displacement_lengths_mm(self._between(grid, grid), grid, where)

    @final
    def determinants(self, grid: Grid) -> Float[np.ndarray, "i j k"]:
        """Computes local volume in moving space over that in fixed space.

        The Jacobian determinant of T at the voxel centers of `grid`: by central
        differences over its voxels, one-sided at the border, in single precision.

        Raises:
            InputError: If the grid has fewer than 2 voxels along an axis.
        """
        return determinants(self._between(grid, grid), grid)

    @final
    def _between(self, onto: Grid, moving: Grid) -> native.Chain:
        """The map from voxels of a grid in fixed space to those of one in moving."""
        return between_grids(self._steps(), onto=onto, moving=moving)

    @final
    def _steps(self) -> list[np.ndarray | Warp]:
        return [
            part.matrix if isinstance(part, Affine) else part.warp()
            for part in self.parts()
        ]


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
        matrix = real_numbers(self.matrix, "affine", "a finite 4x4 matrix")
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

    def __repr__(self) -> str:
        return f"<Affine {np.round(self.matrix[:3], 3).tolist()}>"

    @classmethod
    def identity(cls) -> "Affine":
        """The map x -> x."""
        return cls(np.eye(4))

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
        check_is_grid(self.grid)
        check_is_array(self.vectors_mm, "displacement field", "(I, J, K, 3)")
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.grid.words}>"

    @abstractmethod
    def warp(self) -> Warp:
        """The field as the kernels read it."""

    @abstractmethod
    def continued_warp(self) -> Warp:
        """The same, without a jump beyond the grid, as inversion needs it."""

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
        inverse, residuals_mm = self.inverse_with_residuals()
        residual_mm = float(residuals_mm.max())
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
    def inverse_with_residuals(self: F) -> tuple[F, Float[np.ndarray, "i j k"]]:
        """Computes the inverse on the same grid, and its errors in mm.

        They are |T(T^-1(y)) - y| at the voxels y, in single precision, with T continued
        beyond its grid. Between the voxels of the inverse, errors can be larger.
        """
        vectors_mm, residuals_mm = inverse_vectors_mm(
            self.continued_warp(), self.vectors_mm
        )
        return type(self)(self.grid, vectors_mm), residuals_mm

    @final
    def folding_percent(self) -> float:
        """Percentage of voxels at which the Jacobian determinant is not positive."""
        return 100 * float((self.jacobian_determinant() <= 0).mean())

    @final
    def jacobian_determinant(self) -> Float[np.ndarray, "i j k"]:
        """Ratio of local volume in moving space to that in fixed space, at every voxel.

        By central differences, one-sided at the border.

        Raises:
            InputError: If the grid has fewer than 2 voxels along an axis.
        """
        # At the voxels themselves, all ways to read between them agree.
        steps = [Warp(self.grid, self.vectors_mm, "continued")]
        chain = between_grids(steps, onto=self.grid, moving=self.grid)
        return determinants(chain, self.grid)

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

    def warp(self) -> Warp:
        return Warp(self.grid, self.vectors_mm, "linear")

    def continued_warp(self) -> Warp:
        return Warp(self.grid, self.vectors_mm, "continued")


@final
@dataclass(frozen=True, eq=False, slots=True)
class Composite(Transform):
    """T(x) = outermost(...(innermost(x))), made by `@`; interpolates images once."""

    transforms: tuple[Affine | Field, ...]
    """Outermost first."""

    def __post_init__(self) -> None:
        for part in self.transforms:
            check_is_transform(part, (Affine, Field))

    def __repr__(self) -> str:
        names = ", ".join(type(part).__name__ for part in self.transforms)
        return f"<Composite of {names}>"

    def inverse(self) -> "Composite":
        return Composite(tuple(part.inverse() for part in reversed(self.transforms)))

    def parts(self) -> tuple["Affine | Field", ...]:
        return self.transforms

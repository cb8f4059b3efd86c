"""Converts between ITK objects (LPS+ mm) and scanner space (RAS+ mm).

ITK, ANTs and Slicer files are in LPS+ mm: x points left and y points back. This is the
only module that knows LPS. Affines M become D M D with D = diag(-1, -1, 1, 1); vectors
and positions have components 0 and 1 negated.
"""

import functools
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import (
    Affine,
    DisplacementField,
    Field,
    Grid,
    SplineField,
    Transform,
)

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
TRANSFORM_SUFFIXES = (".h5", ".tfm", ".txt", ".mat")
_SPLINE_ORDER = 3
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
# Factor on x and y that turns each frame into RAS; old .fcsv files number the frames.
_FRAME_SIGNS = {"RAS": 1.0, "LPS": -1.0, "0": 1.0, "1": -1.0}


def to_ras(positions: Float[np.ndarray, "n 3"], frame: str) -> Float[np.ndarray, "n 3"]:
    """Converts positions in mm from a named frame, RAS or LPS, to RAS+ mm.

    Raises:
        InputError: If the frame has another name.
    """
    if frame not in _FRAME_SIGNS:
        raise InputError(about="frame", expected="RAS or LPS", got=repr(frame))
    return positions * [_FRAME_SIGNS[frame], _FRAME_SIGNS[frame], 1.0]


def to_itk_vectors(vectors_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Converts vectors from RAS+ mm to ITK's LPS+ mm; keeps their precision."""
    return vectors_mm * np.diag(_FLIP)[:3].astype(vectors_mm.dtype)


def component_sign(component: int) -> float:
    """Factor from a component of vectors in RAS+ mm to the same in ITK's LPS+ mm."""
    return float(_FLIP[component, component])


def field_from_itk(image: sitk.Image) -> DisplacementField:
    """Converts an ITK image of displacements in LPS to a field in RAS+ mm."""
    vectors_lps = sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3)
    return DisplacementField(grid_from_itk(image), vectors_lps * np.diag(_FLIP)[:3])


def grid_from_itk(image: sitk.Image | sitk.ImageFileReader) -> Grid:
    """The grid of an ITK image, in RAS+ mm."""
    affine_lps = np.eye(4)
    dimensions = len(image.GetSize())  # a fourth dimension, of one volume, is dropped
    directions = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine_lps[:3, :3] = directions[:3, :3] * image.GetSpacing()[:3]
    affine_lps[:3, 3] = image.GetOrigin()[:3]
    return Grid(image.GetSize()[:3], _FLIP @ affine_lps)


def volume_from_itk(image: sitk.Image) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) of an ITK image (LPS) with one volume, and their grid."""
    data = sitk.GetArrayFromImage(image).T.reshape(image.GetSize()[:3])
    return data, grid_from_itk(image)


def image_to_itk(data: np.ndarray, grid: Grid) -> sitk.Image:
    """Makes an ITK image (LPS) of numbers (I, J, K) or LPS vectors (I, J, K, 3).

    Raises:
        InputError: If the grid is sheared.
    """
    if not is_perpendicular(grid):
        raise InputError(
            about="grid",
            expected="perpendicular axes, which ITK's file formats need",
            got="a sheared grid",
            advice="write NIfTI, or resample onto a Grid with perpendicular axes first",
        )
    is_vector = data.ndim == 4
    in_itk_order = data.transpose(2, 1, 0, 3) if is_vector else data.T
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(in_itk_order), isVector=is_vector
    )
    directions = (_FLIP @ grid.affine)[:3, :3] / grid.spacing_mm
    image.SetOrigin((_FLIP @ grid.affine)[:3, 3].tolist())
    image.SetSpacing(grid.spacing_mm.tolist())
    image.SetDirection(directions.ravel().tolist())
    return image


def is_perpendicular(grid: Grid) -> bool:
    """Whether the axes of a grid are perpendicular, as ITK requires."""
    directions = grid.affine[:3, :3] / grid.spacing_mm
    return np.allclose(directions.T @ directions, np.eye(3), atol=1e-4)


def transform_to_itk(transform: Transform) -> sitk.Transform:
    """Converts a transform to the same map as an ITK transform (LPS)."""
    parts = [_part_to_itk(part) for part in transform.parts()]
    return parts[0] if len(parts) == 1 else sitk.CompositeTransform(parts)


def _part_to_itk(part: Affine | Field) -> sitk.Transform:
    if isinstance(part, SplineField):
        coefficients_lps = to_itk_vectors(part.coefficients_mm)
        axes = np.moveaxis(coefficients_lps, -1, 0)
        return sitk.BSplineTransform(
            [image_to_itk(c, part.grid) for c in axes], _SPLINE_ORDER
        )
    if isinstance(part, Field):
        vectors_lps = to_itk_vectors(part.vectors_mm)
        return sitk.DisplacementFieldTransform(image_to_itk(vectors_lps, part.grid))
    matrix = _FLIP @ part.matrix @ _FLIP
    return sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())


def transform_from_itk(itk: sitk.Transform) -> Transform:
    """Converts an ITK transform (LPS) to the same map in RAS+ mm.

    Raises:
        InputError: If it is not 3D, or of a kind that is not supported.
    """
    if itk.GetDimension() != 3:
        raise InputError(expected="a 3D transform", got=f"{itk.GetDimension()}D")
    if itk.IsLinear():
        return Affine(_FLIP @ _matrix_of(itk) @ _FLIP)
    itk = itk.Downcast()
    if isinstance(itk, sitk.CompositeTransform):
        parts = [
            transform_from_itk(itk.GetNthTransform(n))
            for n in range(itk.GetNumberOfTransforms())
        ]
        return functools.reduce(operator.matmul, parts)
    if isinstance(itk, sitk.DisplacementFieldTransform):
        return field_from_itk(itk.GetDisplacementField())
    if isinstance(itk, sitk.BSplineTransform) and itk.GetOrder() == _SPLINE_ORDER:
        return _spline_from_itk(itk.GetCoefficientImages())
    raise InputError(
        expected="affine parts, displacement fields and cubic B-splines",
        got=f"a {itk.GetName()}",
        advice="convert it to a displacement field (SimpleITK: "
        "TransformToDisplacementField) first",
    )


def _spline_from_itk(coefficients: Sequence[sitk.Image]) -> SplineField:
    """Makes a spline field from an ITK image of coefficients per LPS component."""
    lps = np.stack([sitk.GetArrayFromImage(image).T for image in coefficients], axis=-1)
    grid = grid_from_itk(coefficients[0])
    return SplineField.from_coefficients(lps * np.diag(_FLIP)[:3], grid)


def _matrix_of(itk: sitk.Transform) -> Float[np.ndarray, "4 4"]:
    """Matrix (LPS) of a linear ITK transform of any parametrization."""
    matrix = np.eye(4)
    matrix[:3, 3] = itk.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = itk.TransformPoint(np.eye(3)[axis].tolist()) - matrix[:3, 3]
    return matrix


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silences ITK's warnings on damaged files: our error says the same in one line."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)

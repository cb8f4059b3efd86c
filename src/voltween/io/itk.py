"""Converts between ITK objects (LPS+ mm) and scanner space (RAS+ mm).

ITK, ANTs and Slicer files are in LPS+ mm: x points left and y points back. This is the
only module that knows LPS. Affines M become D M D with D = diag(-1, -1, 1, 1); vectors
and positions have components 0 and 1 negated.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.errors import InputError
from voltween.spatial import DisplacementField, Grid

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
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


def flip_vectors(vectors_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Converts vectors from RAS+ to LPS+ mm or back; keeps their precision."""
    return vectors_mm * np.diag(_FLIP)[:3].astype(vectors_mm.dtype)


def flip_matrix(matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Converts an affine map of RAS+ mm to the same map of LPS+ mm, or back."""
    return _FLIP @ matrix @ _FLIP


def lps_affine(grid: Grid) -> Float[np.ndarray, "4 4"]:
    """The map of a grid's voxels (i, j, k) to LPS+ mm."""
    return _FLIP @ grid.affine


def grid_from_lps(
    shape: tuple[int, int, int], affine_lps: Float[np.ndarray, "4 4"]
) -> Grid:
    """The grid, in RAS+ mm, of a shape and a map of its voxels (i, j, k) to LPS+ mm."""
    return Grid(shape, _FLIP @ affine_lps)


def field_from_itk(image: sitk.Image) -> DisplacementField:
    """Converts an ITK image of displacements in LPS to a field in RAS+ mm."""
    vectors_lps = sitk.GetArrayFromImage(image).transpose(2, 1, 0, 3)
    return DisplacementField(grid_from_itk(image), flip_vectors(vectors_lps))


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


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Silences ITK's warnings on damaged files: our error says the same in one line."""
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)

"""Converts between ITK objects (LPS+ mm) and scanner space (RAS+ mm).

ITK, ANTs and Slicer files are in LPS+ mm: x points left and y points back. This is the
only module that knows LPS. Affines M become D M D with D = diag(-1, -1, 1, 1); vectors
and positions have components 0 and 1 negated.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import SimpleITK as sitk
from jaxtyping import Float

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial import Grid

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
OWN_FRAME, ITK_FRAME = "RAS", "LPS"
"""The frame of this package and of the points that it writes, and that of ITK."""
FRAME_NUMBERS = {"0": OWN_FRAME, "1": ITK_FRAME, "2": "IJK"}
"""The frames of Slicer's old .fcsv files."""
_FRAME_SIGNS = {OWN_FRAME: 1.0, ITK_FRAME: -1.0}  # factor on x and y, to RAS


def to_ras(positions: Float[np.ndarray, "n 3"], frame: str) -> Float[np.ndarray, "n 3"]:
    """Converts positions in mm from a named frame, RAS or LPS, to RAS+ mm.

    Raises:
        InputError: If the frame has another name.
    """
    if frame not in _FRAME_SIGNS:
        raise InputError(about="frame", expected="RAS or LPS", got=repr(frame))
    return positions * [_FRAME_SIGNS[frame], _FRAME_SIGNS[frame], 1.0]


def from_ras(
    positions: Float[np.ndarray, "n 3"], frame: str
) -> Float[np.ndarray, "n 3"]:
    """Converts positions in RAS+ mm to a named frame, RAS or LPS; see `to_ras`."""
    return to_ras(positions, frame)  # the signs are their own inverse


def flip_vectors(vectors_mm: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Converts vectors from RAS+ to LPS+ mm or back; keeps their precision."""
    return vectors_mm * np.diag(_FLIP)[:3].astype(vectors_mm.dtype)


def flip_matrix(matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Converts an affine map of RAS+ mm to the same map of LPS+ mm, or back."""
    return _FLIP @ matrix @ _FLIP


def ras_to_itk() -> Float[np.ndarray, "4 4"]:
    """The map from RAS+ mm to LPS+ mm, the frame of ITK, DICOM and AFNI."""
    return _FLIP.copy()


def lps_affine(grid: Grid) -> Float[np.ndarray, "4 4"]:
    """The map of a grid's voxels (i, j, k) to LPS+ mm."""
    return _FLIP @ grid.affine


def component_sign(component: int) -> float:
    """Factor from a component of vectors in RAS+ mm to the same in ITK's LPS+ mm."""
    return float(_FLIP[component, component])


def grid_from_itk(image: sitk.Image | sitk.ImageFileReader) -> Grid:
    """The grid of an ITK image, in RAS+ mm."""
    affine_lps = np.eye(4)
    dimensions = len(image.GetSize())  # a fourth dimension, of one volume, is dropped
    directions = np.array(image.GetDirection()).reshape(dimensions, dimensions)
    affine_lps[:3, :3] = directions[:3, :3] * image.GetSpacing()[:3]
    affine_lps[:3, 3] = image.GetOrigin()[:3]
    return Grid(image.GetSize()[:3], _FLIP @ affine_lps)


def grid_in_frame(
    shape: tuple[int, ...], affine: Float[np.ndarray, "4 4"], frame: str = "LPS"
) -> Grid:
    """The grid of an affine to mm in a frame of three letters, such as LPS or RAS.

    Each letter says where an axis of the frame points: R or L, A or P, S or I.
    """
    signs = [1.0 if letter in "RAS" else -1.0 for letter in frame]
    i, j, k = shape[:3]
    return Grid((i, j, k), np.diag([*signs, 1.0]) @ affine)


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
def hearing_itk() -> Iterator[None]:
    """Turns what ITK writes to the terminal into warnings of this package.

    They are given at the end of the block, unless an error says more.
    """
    with itk_messages() as messages:
        yield
    for text in dict.fromkeys(messages):
        warnings.warn(f"ITK warns: {text}", SuspiciousInputWarning, stacklevel=3)


@contextmanager
def itk_messages() -> Iterator[list[str]]:
    """Collects what ITK would write to the terminal."""
    listener = _Listener()
    before = listener.SetAsGlobalITKLogger()
    try:
        yield listener.texts
    finally:
        before.SetAsGlobalITKLogger()


class _Listener(sitk.LoggerBase):  # type: ignore[misc]  # SimpleITK has no types
    """Keeps what ITK would write to the terminal, each message as one line."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def DisplayText(self, text: str) -> None:  # noqa: N802
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines and lines[0].startswith(("WARNING: In", "ERROR: In")):
            lines = lines[1:]  # a line of ITK's source code
        if lines:
            self.texts.append(re.sub(r"^\w+ \(0x\w+\): ", "", " ".join(lines)))

    DisplayWarningText = DisplayErrorText = DisplayText
    DisplayGenericOutputText = DisplayText

    def DisplayDebugText(self, text: str) -> None:  # noqa: N802
        """Leaves out what is of use to ITK's developers alone."""

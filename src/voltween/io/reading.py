"""Reads images and label maps into scanner space, RAS+ mm."""

import numpy as np
from jaxtyping import Float

from voltween.files import PathLike, naming
from voltween.inputs import folder_and_series
from voltween.io.container import DICOM, check_file
from voltween.io.dicom import read_dicom_file, read_dicom_folder
from voltween.io.volume_file import check_is_volume
from voltween.io.volumes import open_volume
from voltween.spatial import Grid, Image, LabelMap

Directions = Float[np.ndarray, "3 3"]


def read(path: PathLike, *, analyze_directions: Directions | None = None) -> Image:
    """Reads the image in a file (NIfTI, NRRD, MetaImage, MGH) or a DICOM folder.

    What a file is follows from its content, not from its name. A DICOM folder must
    hold one series, or one is chosen by its number, description or UID: `FOLDER#NAME`.

    Args:
        path: The file or folder.
        analyze_directions: Column c is the unit vector, in RAS+, of axis c of an
            Analyze 7.5 file, which states none; its center is then at 0 mm. Without
            it, directions are assumed with a warning.

    Raises:
        InputError: If it is missing, damaged, not 3D, not scalar, or not finite, or if
            the slices of a DICOM series are no regular stack.
    """
    volume = _read_volume(path, analyze_directions)
    with naming(path):
        return Image(*volume)


def read_labels(
    path: PathLike, *, analyze_directions: Directions | None = None
) -> LabelMap:
    """Reads the label map in a file: whole numbers, in whatever type they are stored.

    The arguments are those of `read`.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    volume = _read_volume(path, analyze_directions)
    with naming(path):
        return LabelMap(*volume)


def _read_volume(
    path: PathLike, analyze_directions: Directions | None
) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) and the grid of a file or folder, which errors name."""
    location, series = folder_and_series(path)
    if location.is_dir():
        with naming(path):
            return read_dicom_folder(location, series)
    if check_file(location).kind is DICOM:
        with naming(path):
            return read_dicom_file(location)
    volume = open_volume(location, analyze_directions=analyze_directions)
    with naming(path):
        check_is_volume(volume.sizes, volume.components)
    return volume.read(), volume.grid

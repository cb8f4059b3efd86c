"""The size of an image by its header, before any voxel is read."""

import warnings

from voltween.errors import InputError
from voltween.io.container import DICOM, check_file
from voltween.io.volume_file import VolumeFile
from voltween.io.volumes import open_volume
from voltween.spatial import Grid
from voltween.storage import PathLike, folder_and_series


def is_series(path: PathLike) -> bool:
    """Whether the header of an image file states several volumes.

    Not so for DICOM, which is read volume by volume, and for what cannot be read.
    """
    volume = _by_header(path)
    return volume is not None and volume.meaning == "series"


def grid_by_header(path: PathLike) -> Grid | None:
    """Returns the grid that the header of an image file states.

    None for DICOM, whose grid follows from all its files, and for what cannot be read.
    """
    volume = _by_header(path)
    return None if volume is None else volume.grid


def check_header(path: PathLike) -> None:
    """Checks that an image file can be opened, before any voxel of it is read.

    Voxels that are missing at the end of a compressed file are not noticed, and of
    DICOM only that it is there.

    Raises:
        InputError: If it is missing, or its header is not that of an image.
    """
    _opened(path)


def _by_header(path: PathLike) -> VolumeFile | None:
    try:
        return _opened(path)
    except (InputError, OSError):
        return None


def _opened(path: PathLike) -> VolumeFile | None:
    """The file of an image; None for DICOM."""
    location, _ = folder_and_series(path)
    if location.is_dir() or check_file(location).kind is DICOM:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # who reads the voxels is warned
        return open_volume(location)

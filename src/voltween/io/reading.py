"""Reads images and label maps into scanner space, RAS+ mm."""

from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.io.container import DICOM, check_file
from voltween.io.itk import flip_vectors
from voltween.io.ome_zarr import is_ome_zarr, read_ome_zarr
from voltween.io.volume_file import VolumeFile, check_is_volume
from voltween.io.volumes import open_volume
from voltween.spatial import Grid, Image, LabelMap, Meaning, MultichannelImage
from voltween.storage import PathLike, folder_and_series, naming

Directions = Float[np.ndarray, "3 3"]


def read(
    path: PathLike,
    *,
    analyze_directions: Directions | None = None,
    volume: int | None = None,
) -> Image:
    """Reads the image in a file, in a DICOM folder or in an OME-Zarr folder.

    What a file is follows from its content, not from its name. A DICOM folder must
    hold one series, or one is chosen by its number, description or UID: `FOLDER#NAME`.

    Args:
        path: The file or folder.
        analyze_directions: Column c is the unit vector, in RAS+, of axis c of an
            Analyze 7.5 file, which states none; its center is then at 0 mm. Without
            it, directions are assumed with a warning.
        volume: Number of the volume of a 4D image, from 0. The file must have several.

    Raises:
        InputError: If it is missing, damaged, not 3D, not scalar, or not finite, or if
            the slices of a DICOM series are no regular stack; or if there is no such
            volume.
    """
    if volume is not None:
        return _one_volume(path, volume)
    data, grid = _read_volume(path, analyze_directions)
    with naming(path):
        return Image(data, grid)


def read_labels(
    path: PathLike, *, analyze_directions: Directions | None = None
) -> LabelMap:
    """Reads the label map in a file: whole numbers, in whatever type they are stored.

    Labels of a DICOM segmentation (SEG) are the numbers of its segments, and those of a
    structure set (RTSTRUCT) the numbers of its structures, on the grid of the scan that
    it was drawn on, which must be in the folder of the file or in one beside it; see
    `structure_names`. The arguments are those of `read`.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    volume = _read_volume(path, analyze_directions, are_labels=True)
    with naming(path):
        return LabelMap(*volume)


def structure_names(path: PathLike) -> dict[int, str]:
    """The names of labels that a DICOM file states; none of any other file.

    Raises:
        InputError: If the file is missing or damaged.
    """
    location, _ = folder_and_series(path)
    if location.is_dir() or check_file(location).kind is not DICOM:
        return {}
    from voltween.io.dicom_labels import dicom_structure_names  # as `_read_dicom`

    with naming(path):
        return dicom_structure_names(location)


Contents = Literal["intensities", "labels", "vectors"]
"""The meaning of the numbers of a file.

intensities: images, colors, and vectors that are left as they are.
labels: whole numbers, which are never mixed.
vectors: components along the axes of space: LPS in files, as ITK has it.
"""


def read_channels(
    path: PathLike, *, contents: Contents = "intensities"
) -> MultichannelImage:
    """Reads an image of any number of volumes, or of numbers per voxel.

    A plain 3D image has one number per voxel. The numbers keep the type in which they
    are stored, unless the header scales them.

    Raises:
        InputError: As `read`; or if the image has several volumes of several numbers
            each, or complex numbers, or labels with fractions, or vectors that have not
            three components.
    """
    data, grid, meaning, step_s = _channels_of(path, are_labels=contents == "labels")
    with naming(path):
        if contents == "labels":
            flat = data.reshape(*data.shape[:2], -1)
            labels = LabelMap(flat, Grid(flat.shape, np.eye(4))).data
            data = labels.reshape(data.shape)
        if contents == "vectors":
            if meaning != "channels" or data.shape[3] != 3:
                raise InputError(
                    expected="vectors of three components, stored as ITK does",
                    got=f"{meaning} of {data.shape[3]}",
                )
            data, meaning = flip_vectors(data.astype(np.float32)), "vectors"
        return MultichannelImage(data, grid, meaning, step_s)


def _channels_of(
    path: PathLike, *, are_labels: bool = False
) -> tuple[np.ndarray, Grid, Meaning, float]:
    """The numbers (I, J, K, C) of a file or folder, their grid, meaning and step."""
    location, _ = folder_and_series(path)
    if location.is_dir() or check_file(location).kind is DICOM:
        data, grid = _read_volume(path, None, are_labels=are_labels)
        return data[..., None], grid, "scalar", 1.0
    file = open_volume(location)
    with naming(path):
        _check_is_regular(file)
    data = file.read().reshape(*file.grid.shape, -1)
    return data, file.grid, file.meaning, file.step_s


def _check_is_regular(file: VolumeFile) -> None:
    """Checks that there are several volumes or several numbers per voxel, not both."""
    if file.components > 1 and (file.sizes[3:] or file.meaning == "scalar"):
        raise InputError(
            expected="volumes of one real number per voxel, or one volume of several",
            got=f"{' x '.join(map(str, file.sizes))} voxels of {file.components} "
            "(complex numbers, or several volumes of them)",
        )


def _one_volume(path: PathLike, number: int) -> Image:
    """One of several volumes."""
    data, grid, meaning, _ = _channels_of(path)
    with naming(path):
        if meaning != "series":
            raise InputError(
                expected="a 4D image, to choose a volume of it",
                got="one 3D image"
                if data.shape[3] == 1
                else f"{meaning} of one volume",
                advice="leave the number of the volume out",
            )
        if not 0 <= number < data.shape[3]:
            raise InputError(
                expected=f"a volume from 0 to {data.shape[3] - 1}", got=number
            )
        return Image(data[..., number], grid)


def _read_volume(
    path: PathLike, analyze_directions: Directions | None, *, are_labels: bool = False
) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) and the grid of a file or folder, which errors name."""
    location, series = folder_and_series(path)
    if location.is_dir() or check_file(location).kind is DICOM:
        with naming(path):
            if location.is_dir() and not series and is_ome_zarr(location):
                return read_ome_zarr(location)
            return _read_dicom(location, series, are_labels=are_labels)
    volume = open_volume(location, analyze_directions=analyze_directions)
    with naming(path):
        check_is_volume(volume.sizes, volume.components)
    return volume.read(), volume.grid


def _read_dicom(
    location: Path, series: str, *, are_labels: bool
) -> tuple[np.ndarray, Grid]:
    """The voxels (I, J, K) and the grid of a DICOM file, or of a series in a folder."""
    # pydicom takes 0.13 s to import, with what it imports for downloads.
    from voltween.io.dicom import read_dicom_file, read_dicom_folder
    from voltween.io.dicom_labels import check_is_scan, read_dicom_labels

    if location.is_dir():
        return read_dicom_folder(location, series)
    if are_labels:
        return read_dicom_labels(location)
    check_is_scan(location)
    return read_dicom_file(location)

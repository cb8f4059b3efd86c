"""Reads images and label maps into scanner space, RAS+ mm."""

import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, ImageDataError

from voltween.errors import InputError
from voltween.files import PathLike, existing_file, naming
from voltween.io.itk import (
    grid_from_itk,
    quiet_itk,
    volume_from_itk,
)
from voltween.spatial import Grid, Image, LabelMap

_READING_ERRORS = (
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    ImageDataError,
)
_QFORM_TOLERANCE_MM = 0.1


def read(path: PathLike) -> Image:
    """Reads the intensity image in a file (NIfTI, NRRD, MetaImage) or DICOM folder.

    A DICOM folder must hold one series.

    Raises:
        InputError: If it is missing, unreadable, not 3D, not scalar, or not finite.
    """
    scan = _existing_scan(path)
    with naming(scan):
        return Image(*_read_volume(scan))


def read_labels(path: PathLike) -> LabelMap:
    """Reads the label map in a file: whole numbers, in whatever type they are stored.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    scan = _existing_scan(path)
    with naming(scan):
        return LabelMap(*_read_volume(scan))


def _existing_scan(path: PathLike) -> Path:
    """The path of a file that can be read, or of a folder."""
    scan = Path(path)
    return scan if scan.is_dir() else existing_file(scan)


def _read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    if path.name.endswith((".nii", ".nii.gz")) and not path.is_dir():
        return _read_nifti(path)
    image = _read_dicom(path) if path.is_dir() else _read_itk_image(path)
    check_is_volume(image.GetSize(), image.GetNumberOfComponentsPerPixel())
    return volume_from_itk(image)


def _read_nifti(path: Path) -> tuple[np.ndarray, Grid]:
    """Reads the grid by ITK, as ANTs and Slicer see it, and the voxels by nibabel.

    ITK fills a file that was cut short with zeros and turns NaN into zero, silently.
    """
    with _reporting_damage("a NIfTI image"), quiet_itk():
        image = nibabel.load(path)
        header = _itk_header(path)
    if header is None:
        check_is_volume(image.shape, 1)
    else:
        check_is_volume(header.GetSize(), header.GetNumberOfComponents())
    with _reporting_damage("a NIfTI image"):
        data = np.asarray(image.dataobj).reshape(image.shape[:3])
    by_nibabel = Grid(data.shape, image.affine)
    if header is None:
        return data, by_nibabel
    grid = grid_from_itk(header)
    if not grid.is_close(by_nibabel, _QFORM_TOLERANCE_MM):
        warnings.warn(
            f"{path}: its qform and sform place the image differently; using the one "
            "that ITK, ANTs and Slicer use (nibabel, FSL and FreeSurfer use the other)",
            stacklevel=2,
        )
    return data, grid


def _itk_header(path: Path) -> sitk.ImageFileReader | None:
    """The header of a NIfTI file; None if its axes are sheared, which ITK refuses."""
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    try:
        header.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" not in str(error):
            raise
        return None
    return header


def check_is_volume(size: tuple[int, ...], components: int) -> None:
    """Checks that a file or object holds one 3D image with one number per voxel.

    Raises:
        InputError: If it does not.
    """
    if len(size) < 3 or min(size[:3]) < 2 or math.prod(size[3:]) != 1:
        advice = "save the volume you mean as a file of its own" if size[3:] else ""
        raise InputError(
            expected="one 3D image",
            got=f"size {' x '.join(map(str, size))}",
            advice=advice,
        )
    if components != 1:
        raise InputError(
            expected="one number per voxel",
            got=f"{components} (colors, vectors or complex numbers)",
        )


def _read_itk_image(path: Path) -> sitk.Image:
    kind = "an image (NIfTI, NRRD, MetaImage or a DICOM folder)"
    with _reporting_damage(kind), quiet_itk():
        return sitk.ReadImage(str(path))


def _read_dicom(folder: Path) -> sitk.Image:
    with quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            raise InputError(
                expected="a folder with one DICOM series",
                got=len(series),
                advice="copy the one you mean into a folder of its own"
                if series
                else "",
            )
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        with _reporting_damage("a DICOM series"):
            return sitk.ReadImage(files)


@contextmanager
def _reporting_damage(kind: str) -> Iterator[None]:
    """Turns any error of a reader on a bad file into one that a user understands."""
    try:
        yield
    except _READING_ERRORS as error:
        raise InputError(
            expected=kind, got="a file that is damaged, cut short or of another kind"
        ) from error

"""Reading images, label maps and transforms into scanner space."""

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
    IMAGE_SUFFIXES,
    TRANSFORM_SUFFIXES,
    field_from_itk,
    grid_from_itk,
    quiet_itk,
    transform_from_itk,
)
from voltween.spatial import DisplacementField, Grid, Image, LabelMap, Transform

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
    """The intensity image in a file (NIfTI, NRRD, MetaImage) or DICOM series folder.

    Raises:
        InputError: If it is missing, unreadable, not 3D, not scalar, or not finite.
    """
    data, grid = _read_volume(Path(path))
    with naming(path):
        return Image(data, grid)


def read_labels(path: PathLike) -> LabelMap:
    """The label map in a file; whole numbers, whatever type they are stored in.

    Raises:
        InputError: If it cannot be read as an image, or has fractions.
    """
    data, grid = _read_volume(Path(path))
    with naming(path):
        return LabelMap(data, grid)


def read_transform(path: PathLike) -> Transform:
    """The transform in an ITK file (.h5, .tfm, .txt, .mat) or displacement field image.

    Reads what Voltween, SimpleITK, ANTs and Slicer write; LPS is turned into RAS+.

    Raises:
        InputError: If the file is missing, no transform, or of a kind not supported.
    """
    path = existing_file(Path(path))
    if path.name.endswith((*IMAGE_SUFFIXES, ".mhd")):
        return _read_field(path)
    with _damage_named(path, f"an ITK transform ({', '.join(TRANSFORM_SUFFIXES)})"):
        itk = sitk.ReadTransform(str(path))
    with naming(path):
        return transform_from_itk(itk)


def _read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    if path.is_dir():
        image = _read_dicom(path)
    elif path.name.endswith((".nii", ".nii.gz")):
        return _read_nifti(existing_file(path))
    else:
        image = _read_itk_image(existing_file(path))
    _check_is_volume(path, image.GetSize(), image.GetNumberOfComponentsPerPixel())
    data = sitk.GetArrayFromImage(image).T.reshape(image.GetSize()[:3])
    with naming(path):
        return data, grid_from_itk(image)


def _read_nifti(path: Path) -> tuple[np.ndarray, Grid]:
    """Place by ITK, as ANTs and Slicer see it, and voxels by nibabel.

    ITK fills a file that was cut short with zeros, and makes NaN zero, without a word.
    """
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    with _damage_named(path, "a NIfTI image"), quiet_itk():
        image = nibabel.load(path)
        try:
            header.ReadImageInformation()
        except RuntimeError as error:
            if "orthonormal" not in str(error):
                raise
            return _read_sheared_nifti(path, image)
    _check_is_volume(path, header.GetSize(), header.GetNumberOfComponents())
    with _damage_named(path, "a NIfTI image"):
        data = np.asarray(image.dataobj).reshape(header.GetSize()[:3])
    with naming(path):
        grid = grid_from_itk(header)
        if not grid.is_close(Grid(grid.shape, image.affine), _QFORM_TOLERANCE_MM):
            warnings.warn(
                f"{path}: its qform and sform place it differently; taken where ITK, "
                "ANTs and Slicer see it (nibabel, FSL and FreeSurfer see it elsewhere)",
                stacklevel=2,
            )
        return data, grid


def _read_sheared_nifti(
    path: Path, image: nibabel.Nifti1Image
) -> tuple[np.ndarray, Grid]:
    """A NIfTI image whose axes are not perpendicular, which ITK refuses."""
    data = np.asarray(image.dataobj)
    _check_is_volume(path, data.shape, 1)
    with naming(path):
        return data.reshape(data.shape[:3]), Grid(data.shape[:3], image.affine)


def _check_is_volume(path: Path, size: tuple[int, ...], components: int) -> None:
    """Refuse all but one 3D image of one number per voxel."""
    if len(size) < 3 or min(size[:3]) < 2 or math.prod(size[3:]) != 1:
        advice = ": save the volume you mean as a file of its own" * (len(size) > 3)
        stored = " x ".join(map(str, size))
        raise InputError(f"{path}: expected one 3D image, got size {stored}{advice}")
    if components != 1:
        raise InputError(
            f"{path}: expected one number per voxel, got {components} (colors, "
            "vectors or complex)"
        )


def _read_itk_image(path: Path) -> sitk.Image:
    kind = "an image (NIfTI, NRRD, MetaImage or a DICOM folder)"
    with _damage_named(path, kind), quiet_itk():
        return sitk.ReadImage(str(path))


@contextmanager
def _damage_named(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a reader raises on a bad file into one line that names the file."""
    try:
        yield
    except _READING_ERRORS as error:
        raise InputError(
            f"{path}: expected {kind}, got a file that is damaged, cut short or of "
            "another kind"
        ) from error


def _read_dicom(folder: Path) -> sitk.Image:
    with quiet_itk():
        series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
        if len(series) != 1:
            raise InputError(
                f"{folder}: expected a folder with one DICOM series, got {len(series)}"
                + (": copy the one you mean into a folder of its own" if series else "")
            )
        files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
        with _damage_named(folder, "a DICOM series"):
            return sitk.ReadImage(files)


def _read_field(path: Path) -> DisplacementField:
    image = _read_itk_image(path)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise InputError(
            f"{path}: expected a displacement field (3D, 3 numbers per voxel), got "
            f"{image.GetDimension()}D with {image.GetNumberOfComponentsPerPixel()}"
        )
    with naming(path):
        return field_from_itk(image)

"""Reads transforms, fixed to moving world mm, into scanner space (RAS+ mm)."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from voltween.errors import InputError
from voltween.io.container import (
    AFNI_MATRIX,
    DICOM,
    FSL_MATRIX,
    HDF5,
    ITK_TEXT,
    LTA,
    MATLAB4,
    Content,
    Kind,
    check_file,
)
from voltween.io.fields import FIELD_KINDS, read_field
from voltween.io.tool_fields import read_tool_field
from voltween.io.tool_matrices import read_afni_matrix, read_fsl_matrix, read_lta
from voltween.io.transform_hdf5 import read_hdf5_records
from voltween.io.transform_records import TransformRecord, transform_of
from voltween.io.transform_text import read_matlab_records, read_text_records
from voltween.io.x5 import is_x5, read_x5
from voltween.spatial import Affine, Grid, Transform
from voltween.storage import PathLike, naming

_READERS: dict[Kind, Callable[[Path], list[TransformRecord]]] = {
    HDF5: read_hdf5_records,
    ITK_TEXT: read_text_records,
    MATLAB4: read_matlab_records,
}
_OTHERS = (LTA, FSL_MATRIX, AFNI_MATRIX)
_TRANSFORMS = (*_READERS, *_OTHERS, DICOM)
_EXPECTED = (
    "an ITK transform (.h5, .tfm, .txt, .mat), a displacement field (NIfTI, NRRD, "
    "MetaImage), a DICOM registration, or a file of FSL, AFNI, FreeSurfer or X5"
)


Convention = Literal["fsl", "afni", "learn2reg"]


def read_transform(
    path: PathLike,
    *,
    convention: Convention | None = None,
    fixed: Grid | None = None,
    moving: Grid | None = None,
) -> Transform:
    """Reads a transform, in a file of ITK, ANTs, FSL, AFNI, FreeSurfer, X5 or DICOM.

    Accepts ITK's files (.h5, .tfm, .txt, .mat) and displacement field images, as
    Voltween, SimpleITK, ANTs and Slicer write them, and converts them from LPS to RAS+;
    LTA files, X5 files, matrices of FLIRT and AFNI, and DICOM registrations. What a
    file is, is told by its content, not by its suffix.

    Args:
        path: The file.
        convention: The convention of a displacement field image that is not ITK's,
            which its content does not tell.
        fixed: Grid of the fixed scan, for files of FSL, AFNI and Learn2Reg.
        moving: Grid of the moving scan, for the same.

    Raises:
        InputError: If the file is missing, holds no transform, several that are no
            composite, or one of a kind that is not supported; if its convention depends
            on the scans and they are not given; or if a convention is given for a file
            whose content tells it.
        MissingPackageError: If it is an LTA, and nitransforms is not installed.
    """
    content = check_file(path)
    content.expect((*_TRANSFORMS, *FIELD_KINDS), _EXPECTED)
    if content.kind in FIELD_KINDS:
        if convention is None:
            return read_field(content)
        return read_tool_field(content.path, convention, fixed, moving)
    with naming(path):
        _check_is_plain(content)
        _check_has_no_convention(content, convention)
        if content.kind in _OTHERS:
            return _read_matrix(content, fixed, moving)
        if content.kind is DICOM:
            # pydicom takes 0.13 s to import.
            from voltween.io.dicom_registration_reading import read_dicom_registration

            return read_dicom_registration(content.path)
        if content.kind is HDF5 and is_x5(content.path):
            return read_x5(content.path)
        return transform_of(_READERS[content.kind](content.path))


def _read_matrix(content: Content, fixed: Grid | None, moving: Grid | None) -> Affine:
    """The affine map in a text file of another tool."""
    if content.kind is LTA:
        return read_lta(content.path)
    read = read_fsl_matrix if content.kind is FSL_MATRIX else read_afni_matrix
    return read(content.path, fixed, moving)


def _check_is_plain(content: Content) -> None:
    if content.is_gzip:
        raise InputError(
            expected=content.kind.name,
            got="one that is compressed by gzip",
            advice="decompress it first, by gunzip",
        )


def _check_has_no_convention(content: Content, convention: Convention | None) -> None:
    """Checks that none is given for a file that states it, where it would do nothing.

    Raises:
        InputError: If there is one.
    """
    if convention is not None:
        raise InputError(
            expected=f"a displacement field image, of {convention}",
            got=content.kind.name,
            advice="leave the convention out: its content tells it",
        )

"""Reads transforms, fixed to moving world mm, into scanner space (RAS+ mm)."""

from collections.abc import Callable
from pathlib import Path

from voltween.errors import InputError
from voltween.files import PathLike, naming
from voltween.io.container import HDF5, ITK_TEXT, MATLAB4, Content, Kind, check_file
from voltween.io.fields import FIELD_KINDS, read_field
from voltween.io.transform_hdf5 import read_hdf5_records
from voltween.io.transform_records import TransformRecord, transform_of
from voltween.io.transform_text import read_matlab_records, read_text_records
from voltween.spatial import Transform

_READERS: dict[Kind, Callable[[Path], list[TransformRecord]]] = {
    HDF5: read_hdf5_records,
    ITK_TEXT: read_text_records,
    MATLAB4: read_matlab_records,
}
_EXPECTED = (
    "an ITK transform (.h5, .tfm, .txt, .mat) or a displacement field (NIfTI, NRRD, "
    "MetaImage)"
)


def read_transform(path: PathLike) -> Transform:
    """Reads a transform: an ITK file (.h5, .tfm, .txt, .mat) or a displacement image.

    Accepts the files that Voltween, SimpleITK, ANTs and Slicer write, and converts
    them from LPS to RAS+. What a file is, is told by its content, not by its suffix.

    Raises:
        InputError: If the file is missing, holds no transform, several that are no
            composite, or one of a kind that is not supported.
    """
    content = check_file(path)
    content.expect((*_READERS, *FIELD_KINDS), _EXPECTED)
    if content.kind not in _READERS:
        return read_field(content)
    with naming(path):
        _check_is_plain(content)
        return transform_of(_READERS[content.kind](content.path))


def _check_is_plain(content: Content) -> None:
    if content.is_gzip:
        raise InputError(
            expected=content.kind.name,
            got="one that is compressed by gzip",
            advice="decompress it first, by gunzip",
        )

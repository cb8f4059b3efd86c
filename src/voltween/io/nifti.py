"""Writes NIfTI files slab by slab, compressed by all cores.

A second copy of a large scan, as other writers make it, would not fit into memory.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

import nibabel
import numpy as np
from isal import igzip_threaded

from voltween.errors import InputError
from voltween.io.itk import is_perpendicular
from voltween.process import usable_cores
from voltween.spatial import Grid, MultichannelImage, slabs

HEADER_BYTES = 352
_LONGEST_AXIS = 2**15 - 1
_GZIP_LEVEL = 1  # of 0 to 3: files are 25 % smaller than at 0, and no smaller at 2 or 3
_PIECE_BYTES = 2**20
_SLAB_VOXELS = 2_000_000
_COLUMNS = 64  # that fit into a cache with all their planes


def write_nifti(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Writes numbers (I, J, K) or LPS vectors (I, J, K, 3) on a grid of any axes.

    Raises:
        InputError: If an axis is longer than the format can say.
        OSError: If the disk is full.
    """
    components = [data] if data.ndim == 3 else np.moveaxis(data, -1, 0)
    i, j, k = grid.shape
    with opened_nifti(path) as file:
        file.write(nifti_header(grid, data.dtype, len(components)))
        for numbers in components:
            for first, stop in slabs((k, j, i), _SLAB_VOXELS):
                file.write(_in_file_order(numbers[:, :, first:stop]).data)


def write_nifti_channels(image: MultichannelImage, path: Path) -> None:
    """Writes a series as 4D, colors as such, and other numbers as ITK does vectors.

    Raises:
        InputError: If an axis is longer than the format can say, or colors are not of
            8 bits.
        OSError: If the disk is full.
    """
    data, (i, j, k) = image.data, image.grid.shape
    if image.meaning == "colors":
        colors = np.ascontiguousarray(data).view(_color_type(data))[..., 0]
        write_nifti(colors, image.grid, path)
        return
    with opened_nifti(path) as file:
        header = _channels_header(image)
        file.write(header)
        for channel in range(image.count):
            for first, stop in slabs((k, j, i), _SLAB_VOXELS):
                file.write(_in_file_order(data[:, :, first:stop, channel]).data)


def _color_type(data: np.ndarray) -> np.dtype:
    if data.dtype != np.uint8:
        raise InputError(
            about="colors",
            expected="8 bits each (uint8), as NIfTI stores them",
            got=str(data.dtype),
            advice="write .nrrd or .mha",
        )
    return np.dtype([(name, np.uint8) for name in "RGBA"[: data.shape[3]]])


def _channels_header(image: MultichannelImage) -> bytes:
    header = _geometry(image.grid)
    if image.meaning == "series":
        header.set_data_shape((*image.grid.shape, image.count))
        header["pixdim"][4] = image.step_s
    else:
        header.set_data_shape((*image.grid.shape, 1, image.count))
        header.set_intent("vector")
    return _header_bytes(header, image.data.dtype)


def nifti_header(grid: Grid, dtype: np.dtype, components: int = 1) -> bytes:
    """The first bytes of a file of numbers, or of displacements in mm, on a grid.

    Raises:
        InputError: If an axis is longer than the format can say.
    """
    header = _geometry(grid)
    if components == 3:
        header.set_data_shape((*grid.shape, 1, 3))
        header.set_intent("vector")
    return _header_bytes(header, dtype)


def _geometry(grid: Grid) -> nibabel.Nifti1Header:
    """A header with the place of a grid."""
    if max(grid.shape) > _LONGEST_AXIS:
        raise InputError(
            expected=f"at most {_LONGEST_AXIS} voxels along an axis of a NIfTI file",
            got=f"a shape of {' x '.join(map(str, grid.shape))}",
            advice="write .nrrd or .mha",
        )
    header = nibabel.Nifti1Header(endianness="<")
    header.set_data_shape(grid.shape)
    header.set_xyzt_units("mm", "sec")
    is_exact = is_perpendicular(grid)  # a qform cannot be sheared
    header.set_qform(grid.affine, code=1 if is_exact else 0)
    header.set_sform(grid.affine, code=1 if is_exact else 2)
    return header


def _header_bytes(header: nibabel.Nifti1Header, dtype: np.dtype) -> bytes:
    header.set_data_dtype(dtype.newbyteorder("<"))
    header["scl_slope"], header["vox_offset"] = 1, HEADER_BYTES
    header["regular"] = b"r"
    return bytes(header.binaryblock).ljust(HEADER_BYTES, b"\0")


def compress(source: Path, target: Path) -> None:
    """Compresses a file by gzip.

    Raises:
        OSError: If the disk is full.
    """
    with source.open("rb") as plain, opened_nifti(target) as packed:
        shutil.copyfileobj(plain, packed, _PIECE_BYTES)


@contextmanager
def opened_nifti(path: Path) -> Iterator[BufferedWriter]:
    """A file to write to, which compresses if its name ends in .gz.

    It has no name and time inside, and the same bytes for any number of threads.
    """
    if not path.name.endswith(".gz"):
        with path.open("wb") as file:
            yield file
        return
    with igzip_threaded.open(
        path, "wb", _GZIP_LEVEL, threads=usable_cores(), block_size=_PIECE_BYTES
    ) as file:
        yield file


def _in_file_order(slab: np.ndarray) -> np.ndarray:
    """The voxels (I, J, K) of a slab in the order of a file: i fastest."""
    i, j, k = slab.shape
    result = np.empty((k, j, i), slab.dtype.newbyteorder("<"))
    for first in range(0, i, _COLUMNS):
        columns = slice(first, first + _COLUMNS)
        result[:, :, columns] = slab[columns].T
    return result

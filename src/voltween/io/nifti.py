"""NIfTI beyond ITK: sheared axes, a check for a full disk, and fast gzip."""

import math
import shutil
from pathlib import Path

import nibabel
import numpy as np
from isal import igzip

from voltween.spatial import Grid

_GZIP_LEVEL = 1  # of 0 to 3: files are 25 % smaller than at 0, and no smaller at 2 or 3
_GZIP_PIECE_BYTES = 2**20


def save_sheared(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Writes numbers (I, J, K) or vectors (I, J, K, 3) on a grid of any axes."""
    is_vector = data.ndim == 4
    stored = data[:, :, :, None] if is_vector else data
    image = nibabel.Nifti1Image(stored, grid.affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    if is_vector:
        image.header.set_intent("vector")
    nibabel.save(image, path)


def check_is_whole(path: Path) -> None:
    """Checks the size of an uncompressed NIfTI file: ITK does not report a full disk.

    Raises:
        RuntimeError: If the file is not as long as its header says.
    """
    voxels = nibabel.load(path).dataobj
    expected = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
    stored = path.stat().st_size
    if stored != expected:
        raise RuntimeError(f"wrote {stored} of {expected} bytes")


def compress(source: Path, target: Path) -> None:
    """Compresses a file by gzip, 10 to 20 times as fast as zlib (ITK, nibabel).

    Raises:
        OSError: If the disk is full.
    """
    with (
        source.open("rb") as plain,
        target.open("wb") as file,
        # Without a name and time, so that the same result has the same bytes.
        igzip.IGzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed,
    ):
        shutil.copyfileobj(plain, packed, _GZIP_PIECE_BYTES)

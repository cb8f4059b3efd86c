"""What ITK does not do for NIfTI: sheared axes, and a word when the disk is full."""

import math
import os
from pathlib import Path

import nibabel
import numpy as np

from voltween.space import Grid


def save_sheared(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Write numbers (I, J, K) or vectors (I, J, K, 3) on any axes, square or not."""
    is_vector = data.ndim == 4
    stored = data[:, :, :, None] if is_vector else data
    image = nibabel.Nifti1Image(stored, grid.affine, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    if is_vector:
        image.header.set_intent("vector")
    nibabel.save(image, path)


def check_is_whole(path: Path) -> None:
    """ITK says nothing when the disk is full in the middle of a NIfTI file.

    Raises:
        RuntimeError: If the file is shorter than its header says.
    """
    voxels = nibabel.load(path).dataobj
    expected = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
    stored = path.stat().st_size
    if path.name.endswith(".gz"):
        with path.open("rb") as file:
            file.seek(-4, os.SEEK_END)  # gzip ends in the size it unpacks to
            stored = int.from_bytes(file.read(), "little")
            expected %= 2**32
    if stored != expected:
        raise RuntimeError(f"wrote {stored} of {expected} bytes")

"""Pairs of .hdr and .img: NIfTI, or Analyze 7.5, which has no orientation."""

import math
from pathlib import Path

import nibabel
import numpy as np

from voltween.errors import InputError
from voltween.spatial import Grid

_AXIS_OF_LETTER = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}
_READING_ERRORS = (OSError, ValueError, nibabel.filebasedimages.ImageFileError)


def read_pair(header: Path, *, axes: str) -> tuple[np.ndarray, Grid]:
    """Reads the voxels of a pair and their grid, RAS+ mm.

    Programs disagree on the directions in an Analyze header. It gets the directions
    `axes`, such as LAS if the first axis runs to the left, and its center is at 0 mm.

    Raises:
        InputError: If the pair is damaged, truncated, or not a single 3D image.
    """
    try:
        image = nibabel.load(header)
        data = np.asarray(image.dataobj)
    except _READING_ERRORS as error:
        raise InputError(
            about=header,
            expected="a pair of .hdr and .img",
            got="files that are damaged, cut short or of another kind",
        ) from error
    if data.ndim < 3 or math.prod(data.shape[3:]) != 1:
        raise InputError(
            about=header, expected="one 3D image", got=f"shape {data.shape}"
        )
    i, j, k = data.shape[:3]
    data = data.reshape(i, j, k)
    if isinstance(image, nibabel.Nifti1Pair):
        return data, Grid((i, j, k), image.affine)
    along_i, along_j, along_k = (abs(float(mm)) for mm in image.header.get_zooms()[:3])
    grid = Grid.centered(
        (i, j, k),
        center_mm=np.zeros(3),
        spacing_mm=(along_i, along_j, along_k),
        directions=directions_of(axes),
    )
    return data, grid


def directions_of(axes: str) -> np.ndarray:
    """Matrix (3, 3) whose column c is the RAS direction of letter c of, say, 'LAS'."""
    directions = np.zeros((3, 3))
    for column, letter in enumerate(axes):
        directions[_AXIS_OF_LETTER[letter], column] = 1 if letter in "RAS" else -1
    return directions

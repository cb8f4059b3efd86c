"""Writes the displacements of a transform at a grid's voxels, slab by slab.

The whole field of a large scan would not fit into memory beside the scan. A NIfTI file
holds one component after the other: every slab is written to three places.
"""

import math
from io import BufferedWriter
from pathlib import Path

import numpy as np

from voltween.io.itk import component_sign
from voltween.io.nifti import HEADER_BYTES, compress, nifti_header, opened_nifti
from voltween.spatial import Grid, Transform, slabs
from voltween.storage import PathLike, check_suffix, scratch_file, whole_file

_SLAB_VOXELS = 2_000_000  # of 24 bytes each
_TYPE = np.dtype("<f4")  # as ANTs reads and writes; 1e-5 mm at body size


def write_field(transform: Transform, grid: Grid, path: PathLike) -> Path:
    """Writes a transform as a displacement field (NIfTI) at the voxels of a grid.

    Fixed to moving, in single precision, as `write` writes a `DisplacementField`. The
    file is written whole or not at all. Returns its path.

    Raises:
        InputError: If the suffix is not that of NIfTI.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, (".nii.gz", ".nii"), "a displacement field")
    with whole_file(path) as partial:
        # A compressed file is written front to back, as the numbers of one slab are.
        if path.name.endswith(".nii") or len(_slabs(grid)) == 1:
            _write_numbers(transform, grid, partial)
            return path
        with scratch_file(partial.with_suffix("")) as plain:
            _write_numbers(transform, grid, plain)
            compress(plain, partial)
    return path


def _write_numbers(transform: Transform, grid: Grid, path: Path) -> None:
    with opened_nifti(path) as file:
        file.write(nifti_header(grid, _TYPE, components=3))
        _write_vectors(transform, grid, file)


def _write_vectors(transform: Transform, grid: Grid, file: BufferedWriter) -> None:
    # In a file, i is the fastest axis: the order of a grid with reversed axes.
    reversed_grid = _with_reversed_axes(grid)
    plane_bytes = math.prod(grid.shape[:2]) * _TYPE.itemsize
    pieces = _slabs(grid)
    for first, stop in pieces:
        vectors_mm = transform.displacements_mm(reversed_grid.planes(first, stop))
        for component in range(3):
            numbers = component_sign(component) * vectors_mm[..., component]
            planes_before = component * grid.shape[2] + first
            if len(pieces) > 1:
                file.seek(HEADER_BYTES + planes_before * plane_bytes)
            file.write(numbers.astype(_TYPE).data)


def _slabs(grid: Grid) -> list[tuple[int, int]]:
    """The first plane along k of every slab, and that behind its last."""
    return slabs(_with_reversed_axes(grid).shape, _SLAB_VOXELS)


def _with_reversed_axes(grid: Grid) -> Grid:
    i, j, k = grid.shape
    return Grid((k, j, i), grid.affine[:, [2, 1, 0, 3]])

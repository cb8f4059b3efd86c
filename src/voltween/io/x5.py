"""X5 files, the transform format of BIDS: written by nitransforms, read here.

Maps and displacements are in RAS+ mm. The specification is a draft; read are linear
transforms, and fields of displacements or of positions.
"""

from pathlib import Path

import h5py
import numpy as np

from voltween.errors import InputError
from voltween.io.hdf5 import hdf5_member, hdf5_numbers, open_hdf5
from voltween.process import require
from voltween.spatial import Affine, DisplacementField, Grid, Transform
from voltween.storage import whole_file


def write_x5(transform: Transform, path: Path, fixed: Grid) -> None:
    """Writes an affine map, or the displacements at the voxels of the fixed grid.

    Raises:
        MissingPackageError: If nitransforms is not installed.
        OutputError: If the file cannot be written.
    """
    require("nitransforms", extra="formats", purpose="X5 files")
    from nitransforms.io.x5 import X5Domain, X5Transform, to_filename

    is_linear = isinstance(transform, Affine)
    node = X5Transform(
        type="linear" if is_linear else "nonlinear",
        subtype="affine" if is_linear else "densefield",
        representation="matrix" if is_linear else "displacements",
        metadata={"WrittenBy": "Voltween"},
        transform=transform.matrix
        if isinstance(transform, Affine)
        else transform.displacements_mm(fixed),
        dimension_kinds=("space", "space", "space", "vector"),
        domain=X5Domain(True, fixed.shape, fixed.affine, "cartesian"),
    )
    with whole_file(path) as partial:
        to_filename(partial, [node])


def is_x5(path: Path) -> bool:
    """Whether an HDF5 file says that it is X5."""
    try:
        with h5py.File(path, "r") as file:
            return bool(file.attrs.get("Format", "") in ("X5", b"X5"))
    except Exception:  # h5py has no error of its own; the reader reports damage
        return False


def read_x5(path: Path) -> Transform:
    """Reads the transform of an X5 file; `path` is not named in errors.

    Raises:
        InputError: If the file is damaged, or holds several transforms, or one of
            another kind.
    """
    with open_hdf5(path, "an X5 transform") as file:
        group = hdf5_member(file, "TransformGroup", h5py.Group)
        if len(group) != 1:
            raise InputError(
                expected="one transform in an X5 file", got=f"{len(group)} of them"
            )
        node = hdf5_member(group, "0", h5py.Group)
        kind = str(node.attrs.get("Type")), str(node.attrs.get("Representation"))
        numbers = hdf5_numbers(node, "Transform").astype(np.float64)
        if kind[0] == "linear" and numbers.shape in ((4, 4), (1, 4, 4)):
            return Affine(numbers.reshape(4, 4))
        if kind in (("nonlinear", "displacements"), ("nonlinear", "deformations")):
            return _field(node, numbers, is_positions=kind[1] == "deformations")
        raise InputError(
            expected="a linear X5 transform, or a field of displacements or positions",
            got=f"{' '.join(kind)} of shape {numbers.shape}",
            advice="save it as an ITK transform, by nitransforms",
        )


def _field(
    node: h5py.Group, numbers: np.ndarray, *, is_positions: bool
) -> DisplacementField:
    domain = hdf5_member(node, "Domain", h5py.Group)
    mapping = hdf5_numbers(domain, "Mapping").astype(np.float64)
    shape = tuple(int(size) for size in hdf5_numbers(domain, "Size"))
    if len(shape) != 3 or numbers.shape != (*shape, 3):
        raise InputError(
            expected="three numbers per voxel of its domain",
            got=f"{numbers.shape} for a domain of {shape}",
        )
    grid = Grid((shape[0], shape[1], shape[2]), mapping)
    return DisplacementField(
        grid, numbers - grid.voxel_centers_mm() if is_positions else numbers
    )

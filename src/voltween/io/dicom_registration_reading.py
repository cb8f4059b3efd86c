"""Reads DICOM registrations: matrices (PS3.3 C.20.2) and deformations (C.20.3)."""

from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydicom.dataset import Dataset

from voltween.errors import InputError
from voltween.io.dicom_objects import read_dicom_object
from voltween.io.dicom_slices import reporting_damage
from voltween.io.itk import flip_matrix, flip_vectors, grid_in_frame
from voltween.spatial import Affine, DisplacementField, Grid, Transform

SPATIAL_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.1"
DEFORMABLE_REGISTRATION = "1.2.840.10008.5.1.4.1.1.66.3"
_MOST_SHOWN = 4


def read_dicom_registration(path: Path) -> Transform:
    """Reads the transform of a DICOM registration, fixed to moving world mm.

    Fixed is the frame of reference to which the object registers; an item that maps
    this frame to itself is left out.

    Raises:
        InputError: If the file is damaged, is no registration, or registers several
            frames of reference. `path` is not named.
    """
    with reporting_damage(path):
        header = read_dicom_object(path)
        kind = header.get("SOPClassUID")
        if kind == DEFORMABLE_REGISTRATION:
            return _deformation(header)
        if kind == SPATIAL_REGISTRATION:
            return _affine(header)
    raise InputError(
        expected="a DICOM registration",
        got="a DICOM file of another kind",
        advice="a scan is no transform",
    )


def _affine(header: Dataset) -> Affine:
    """The inverse of the matrix, which leads to the frame of the fixed scan."""
    matrices = {}
    for number, item in enumerate(header.RegistrationSequence):
        frame = str(item.get("FrameOfReferenceUID", number))
        parts = [
            _matrix(part) for part in item.MatrixRegistrationSequence[0].MatrixSequence
        ]
        product = np.linalg.multi_dot([np.eye(4), *parts, np.eye(4)])
        is_own = frame == header.FrameOfReferenceUID and np.allclose(product, np.eye(4))
        if not is_own:
            matrices[frame] = product
    if len(matrices) > 1:
        raise _several(list(matrices))
    (matrix,) = matrices.values() or [np.eye(4)]
    return Affine(np.linalg.inv(flip_matrix(matrix)))


def _deformation(header: Dataset) -> Transform:
    """The map x -> post (pre x + offset(x)); offsets lie on the frame of x."""
    items = [
        item
        for item in header.DeformableRegistrationSequence
        if item.get("DeformableRegistrationGridSequence")
    ]
    if len(items) != 1:
        raise _several([str(item.SourceFrameOfReferenceUID) for item in items])
    before = _only_matrix(items[0], "PreDeformationMatrixRegistrationSequence")
    after = _only_matrix(items[0], "PostDeformationMatrixRegistrationSequence")
    offsets = items[0].DeformableRegistrationGridSequence[0]
    grid = _grid(offsets)
    count = 3 * int(np.prod(grid.shape))
    data = offsets.VectorGridData
    if len(data) < 4 * count:
        raise ValueError(f"{len(data)} bytes of offsets instead of {4 * count}")
    numbers = np.frombuffer(data, "<f4", count).reshape(*reversed(grid.shape), 3)
    vectors = flip_vectors(numbers.transpose(2, 1, 0, 3).astype(np.float64))
    # post (pre x + offset) = post pre (x + pre^-1 offset)
    field = DisplacementField(grid, vectors @ np.linalg.inv(before[:3, :3]).T)
    linear = after @ before
    return field if np.allclose(linear, np.eye(4), 0, 1e-12) else Affine(linear) @ field


def _only_matrix(item: Dataset, name: str) -> Float[np.ndarray, "4 4"]:
    """The matrix of a sequence in RAS+ mm; the identity if it is absent."""
    sequence = item.get(name)
    return flip_matrix(_matrix(sequence[0])) if sequence else np.eye(4)


def _matrix(item: Dataset) -> Float[np.ndarray, "4 4"]:
    numbers = np.array(item.FrameOfReferenceTransformationMatrix, np.float64)
    matrix = numbers.reshape(4, 4)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise ValueError(f"the matrix {numbers.tolist()}")
    return matrix


def _grid(offsets: Dataset) -> Grid:
    """The grid of the offsets: rows, columns, and the cross product of the two."""
    cosines = np.array(offsets.ImageOrientationPatient, np.float64).reshape(2, 3)
    directions = np.stack([*cosines, np.cross(*cosines)], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(offsets.GridResolution, np.float64)
    affine[:3, 3] = np.array(offsets.ImagePositionPatient, np.float64)
    shape = tuple(int(size) for size in offsets.GridDimensions)
    if len(shape) != 3:
        raise ValueError(f"a grid of {len(shape)} dimensions")
    return grid_in_frame(shape, affine)


def _several(frames: list[str]) -> InputError:
    listed = ", ".join(frames[:_MOST_SHOWN])
    return InputError(
        expected="a DICOM registration of one frame of reference",
        got=f"{len(frames)} ({listed})" if frames else "none with offsets",
    )

"""Displacement fields as FSL, AFNI and Learn2Reg store them, in NIfTI files."""

from pathlib import Path

import nibabel
import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.io.container import check_file
from voltween.io.fields import nifti_intent
from voltween.io.tool_frames import Tool, tool_frames
from voltween.io.volumes import open_volume
from voltween.spatial import DisplacementField, Grid, Transform
from voltween.storage import check_free_space, naming, whole_file

_FSL_FIELD = 2006  # NIfTI intent of FSL's displacement fields
_FSL_OTHERS = (2007, 2008, 2009, 2016, 2017, 2018)  # coefficients, and fields of topup
_TYPE = np.dtype(np.float32)
Vectors = Float[np.ndarray, "i j k 3"]


def write_tool_field(
    transform: Transform, path: Path, tool: Tool, fixed: Grid, moving: Grid | None
) -> None:
    """Writes the displacements of a transform at the voxels of the fixed grid.

    In single precision; FSL's are relative. FSL and Learn2Reg store them as four axes,
    AFNI as five.

    Raises:
        InputError: If the tool needs a scan that is not given.
        OutputError: If the file cannot be written.
    """
    frames = tool_frames(tool, fixed, moving)
    positions = fixed.voxel_centers_mm()
    mapped = positions + transform.displacements_mm(fixed)
    vectors = _at(frames.moving, mapped) - _at(frames.fixed, positions)
    numbers = vectors.astype(_TYPE)
    if tool == "afni":
        numbers = numbers[:, :, :, None]
    image = nibabel.Nifti1Image(numbers, fixed.affine)
    image.header.set_xyzt_units("mm")
    if tool == "fsl":
        image.header["intent_code"] = _FSL_FIELD
    check_free_space(path, numbers.nbytes)
    with whole_file(path) as partial:
        nibabel.save(image, partial)


def read_tool_field(
    path: Path, tool: Tool, fixed: Grid | None, moving: Grid | None
) -> DisplacementField:
    """Reads the displacements of a tool at the voxels of the fixed grid.

    The grid of the file is that of the fixed scan, except for Learn2Reg, whose files
    state none that holds. FSL's are absolute if that makes them vary more, as FSL
    decides.

    Raises:
        InputError: If the file holds no such field, or a scan is missing or has another
            shape.
    """
    with naming(path):
        file = open_volume(path, expected=f"a displacement field of {tool} (NIfTI)")
        numbers = file.read().reshape(*file.grid.shape, -1).astype(np.float64)
        grid = file.grid if tool != "learn2reg" or fixed is None else fixed
        if numbers.shape != (*grid.shape, 3):
            raise InputError(
                expected=f"3 numbers per voxel of {' x '.join(map(str, grid.shape))}",
                got=" x ".join(map(str, numbers.shape)),
            )
        if tool == "fsl":
            _check_is_fsl_field(path)
        frames = tool_frames(tool, grid if tool != "learn2reg" else fixed, moving)
        positions = grid.voxel_centers_mm()
        start = _at(frames.fixed, positions)
        if tool == "fsl" and _is_absolute(numbers, start):
            numbers -= start
        mapped = _at(np.linalg.inv(frames.moving), start + numbers)
        return DisplacementField(grid, mapped - positions)


def _at(matrix: Float[np.ndarray, "4 4"], positions: Vectors) -> Vectors:
    return positions @ matrix[:3, :3].T + matrix[:3, 3]


def _is_absolute(numbers: Vectors, positions: Vectors) -> bool:
    """FSL's rule: relative displacements vary less than absolute positions do."""
    axes = (0, 1, 2)
    return bool(numbers.std(axes).sum() > (numbers - positions).std(axes).sum())


def _check_is_fsl_field(path: Path) -> None:
    """Refuses spline coefficients, of which FSL itself has to make a field."""
    intent = nifti_intent(check_file(path))
    if intent in _FSL_OTHERS:
        raise InputError(
            expected="a displacement field of FSL",
            got=f"coefficients or a field of topup (NIfTI intent {intent})",
            advice="make a field of it: fnirtfileutils --in=FILE --out=X.nii.gz",
        )

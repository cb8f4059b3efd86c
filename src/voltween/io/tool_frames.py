"""The coordinates in which other tools state transforms, as maps from RAS+ mm.

Each tool maps coordinates of the fixed scan to coordinates of the moving scan, in a
frame of its own for each of them. With A from fixed RAS+ mm to the tool's coordinates,
B from moving RAS+ mm to those of the moving scan, and T the transform, the tool sees
B T A^-1: that is its matrix (FLIRT stores the inverse), and its displacements at
fixed positions x are B T(x) - A x.

References:
    FSL: https://fsl.fmrib.ox.ac.uk/fsl/docs/#/registration/flirt/faq: mm from the
    corner voxel along the axes of the voxels, the first reversed if the voxels are
    right-handed in RAS.
    AFNI: 3dNwarpApply -help and README.attributes: DICOM order (LPS) mm; oblique axes
    are taken to run along the nearest axes of the scanner, from the same first voxel.
    Learn2Reg: https://github.com/MDL-UzL/L2R, evaluation/utils.py: voxels.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.io.itk import ras_to_itk
from voltween.spatial import Grid, nearest_world_axes

Tool = Literal["fsl", "afni", "learn2reg"]
Matrix = Float[np.ndarray, "4 4"]


class ToolFrames(NamedTuple):
    """Maps from RAS+ mm to the coordinates of a tool."""

    fixed: Matrix
    moving: Matrix


def tool_frames(tool: Tool, fixed: Grid | None, moving: Grid | None) -> ToolFrames:
    """The frames of a tool for two scans.

    Raises:
        InputError: If the tool needs a scan that is not given.
    """
    if fixed is None or moving is None:
        missing = "fixed" if fixed is None else "moving"
        raise InputError(
            expected=f"the {missing} scan, on which transforms of {tool} depend",
            got="none",
            advice="give both: --fixed and --moving of `voltween convert`, in Python "
            "fixed= and moving=",
        )
    frame = {"fsl": _fsl_frame, "afni": _afni_frame, "learn2reg": _voxel_frame}[tool]
    return ToolFrames(frame(fixed), frame(moving))


def _fsl_frame(grid: Grid) -> Matrix:
    to_mm = np.diag([*grid.spacing_mm, 1.0])
    if np.linalg.det(grid.affine) > 0:
        to_mm[0, 0] *= -1
        to_mm[0, 3] = (grid.shape[0] - 1) * grid.spacing_mm[0]
    return to_mm @ np.linalg.inv(grid.affine)


def _afni_frame(grid: Grid) -> Matrix:
    """Without obliquity; that of a grid along the axes is LPS itself."""
    cardinal = np.eye(4)
    cardinal[:3, 3] = grid.affine[:3, 3]
    cardinal[:3, :3] = 0
    for column, axis in enumerate(nearest_world_axes(grid)):
        sign = np.sign(grid.affine[axis, column])
        cardinal[axis, column] = sign * grid.spacing_mm[column]
    return ras_to_itk() @ cardinal @ np.linalg.inv(grid.affine)


def _voxel_frame(grid: Grid) -> Matrix:
    return np.linalg.inv(grid.affine)

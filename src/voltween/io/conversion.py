"""Writes transforms for other tools, in the file formats that they read."""

from pathlib import Path
from typing import Literal

import SimpleITK as sitk

from voltween.errors import InputError, check_is_path
from voltween.io.field_writing import write_field
from voltween.io.itk import IMAGE_SUFFIXES, flip_matrix
from voltween.io.tool_fields import write_tool_field
from voltween.io.tool_frames import Tool
from voltween.io.tool_matrices import write_afni_matrix, write_fsl_matrix, write_lta
from voltween.io.writing import write
from voltween.io.x5 import write_x5
from voltween.spatial import Affine, Grid, Transform
from voltween.storage import PathLike, check_suffix, whole_file

Target = Literal["itk", "ants", "fsl", "afni", "freesurfer", "x5", "learn2reg"]
_FIELDS = (".nii.gz", ".nii")
_X5 = (".x5", ".h5")
_MATRICES = {
    "ants": (".mat",),
    "fsl": (".mat", ".txt"),
    "afni": (".1D",),
    "freesurfer": (".lta",),
}
_WRITERS = {
    "fsl": write_fsl_matrix,
    "afni": write_afni_matrix,
    "freesurfer": write_lta,
}


def check_target_name(target: Target, path: Path) -> None:
    """Checks the name of a file for another tool, before the transform is read.

    Raises:
        InputError: If the tool's files of no transform have this suffix.
    """
    suffixes: dict[Target, tuple[str, ...]] = {
        "itk": (".h5", ".tfm", *IMAGE_SUFFIXES),
        "x5": _X5,
        "freesurfer": _MATRICES["freesurfer"],
    }
    usual = (*_MATRICES.get(target, ()), *_FIELDS)
    check_suffix(path, suffixes.get(target, usual), f"a transform of {target}")


def is_field_name(path: Path) -> bool:
    """Returns whether a transform in a file of this name is a field of displacements.

    Fields are images; matrices have files of their own.
    """
    return path.name.endswith(IMAGE_SUFFIXES)


def write_for(
    target: Target,
    transform: Transform,
    path: PathLike,
    *,
    fixed: Grid,
    moving: Grid | None = None,
) -> Path:
    """Writes a transform, fixed to moving, as another tool reads it; returns its path.

    An affine transform is written as a matrix, and any other one as displacements at
    the voxels of the fixed grid; ITK's files hold either as it is.

    Args:
        target: itk (.h5, .tfm, or a field .nii.gz), ants (.mat, or a warp .nii.gz), fsl
            (.mat of FLIRT, or a relative warp .nii.gz), afni (.1D, or a warp .nii.gz),
            freesurfer (.lta), x5 (.x5), learn2reg (.nii.gz, voxels).
        transform: Maps fixed to moving world mm.
        path: File to write.
        fixed: Grid of the fixed scan.
        moving: Grid of the moving scan, for FSL, AFNI, FreeSurfer and Learn2Reg.

    Raises:
        InputError: If the suffix does not fit, FreeSurfer is to get a field, or the
            moving scan is missing.
        MissingPackageError: If FreeSurfer's format or X5 is wanted and nitransforms is
            not installed.
        OutputError: If the file cannot be written.
    """
    check_is_path(path)
    path = Path(path)
    if target == "x5":
        check_suffix(path, _X5, "an X5 transform")
        write_x5(transform, path, fixed)
    elif target == "itk":
        if path.name.endswith(_FIELDS):
            return write_field(transform, fixed, path)
        write(transform, path)
    elif target != "learn2reg" and isinstance(transform, Affine):
        check_suffix(path, _MATRICES[target], f"a matrix of {target}")
        if target == "ants":
            _write_ants_matrix(transform, path)
        else:
            _WRITERS[target](transform, path, fixed, moving)
    else:
        _write_field(target, transform, path, fixed, moving)
    return path


def _write_field(
    target: Target, transform: Transform, path: Path, fixed: Grid, moving: Grid | None
) -> None:
    if target == "freesurfer":
        raise InputError(
            about=path,
            expected="an affine transform, which an LTA holds",
            got=f"a {type(transform).__name__}",
            advice="FreeSurfer reads ITK's fields: --to itk, and mri_warp_convert "
            "--initk FILE --insrcgeom MOVING",
        )
    check_suffix(path, _FIELDS, f"a displacement field of {target}")
    tools: dict[Target, Tool] = {"fsl": "fsl", "afni": "afni", "learn2reg": "learn2reg"}
    if target in tools:
        write_tool_field(transform, path, tools[target], fixed, moving)
    else:
        write_field(transform, fixed, path)


def _write_ants_matrix(transform: Affine, path: Path) -> None:
    """Writes ITK's MATLAB format, of which ANTs takes inverses."""
    matrix = flip_matrix(transform.matrix)
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(matrix[:3, :3].ravel().tolist())
    affine.SetTranslation(matrix[:3, 3].tolist())
    with whole_file(path) as partial:
        sitk.WriteTransform(affine, str(partial))

"""Affine transforms as FSL, AFNI and FreeSurfer store them, in text files."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.io.tool_frames import tool_frames
from voltween.process import require
from voltween.spatial import Affine, Grid
from voltween.storage import whole_file

if TYPE_CHECKING:
    from nitransforms.io.lta import FSLinearTransform

_LAST_ROW = [0.0, 0.0, 0.0, 1.0]


def write_fsl_matrix(
    transform: Affine, path: Path, fixed: Grid, moving: Grid | None
) -> None:
    """Writes a matrix as FLIRT does: of moving to fixed coordinates of FSL.

    Raises:
        InputError: If the moving scan is missing.
    """
    frames = tool_frames("fsl", fixed, moving)
    matrix = frames.fixed @ np.linalg.inv(frames.moving @ transform.matrix)
    _write(path, "\n".join(_row(row) for row in matrix) + "\n")


def read_fsl_matrix(path: Path, fixed: Grid | None, moving: Grid | None) -> Affine:
    """Reads a matrix of FLIRT; `path` is not named in errors.

    Raises:
        InputError: If it is none, or a scan is missing.
    """
    frames = tool_frames("fsl", fixed, moving)
    matrix = _numbers(path, 16).reshape(4, 4)
    return Affine(_undo(matrix, frames.moving) @ frames.fixed)


def _undo(matrix: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """The map from fixed coordinates of a tool to RAS+ mm of the moving scan."""
    if matrix.shape != (4, 4) or abs(np.linalg.det(matrix)) < 1e-12:
        raise InputError(expected="an invertible matrix", got=matrix.tolist())
    return np.linalg.inv(matrix @ moving)


def write_afni_matrix(
    transform: Affine, path: Path, fixed: Grid, moving: Grid | None
) -> None:
    """Writes a matrix as 3dAllineate does (.aff12.1D): of fixed to moving mm of AFNI.

    Raises:
        InputError: If the moving scan is missing.
    """
    frames = tool_frames("afni", fixed, moving)
    matrix = frames.moving @ transform.matrix @ np.linalg.inv(frames.fixed)
    banner = "# 3dAllineate matrices (DICOM-to-DICOM, row-by-row):"
    _write(path, f"{banner}\n{_row(matrix[:3].ravel())}\n")


def read_afni_matrix(path: Path, fixed: Grid | None, moving: Grid | None) -> Affine:
    """Reads a matrix of AFNI, in one line or in three; `path` is not named in errors.

    Raises:
        InputError: If it is none, or holds several, or a scan is missing.
    """
    frames = tool_frames("afni", fixed, moving)
    matrix = np.vstack([_numbers(path, 12).reshape(3, 4), _LAST_ROW])
    return Affine(np.linalg.inv(frames.moving) @ matrix @ frames.fixed)


def write_lta(transform: Affine, path: Path, fixed: Grid, moving: Grid | None) -> None:
    """Writes FreeSurfer's LTA: from RAS of its source, the moving scan, to its target.

    Raises:
        InputError: If the moving scan is missing.
        MissingPackageError: If nitransforms is not installed.
    """
    if moving is None:
        raise InputError(
            expected="the moving scan, whose geometry an LTA holds", got="none"
        )
    # nitransforms names the source by `reference`, and the target by `moving`.
    lta = _lta().from_ras(transform.matrix, reference=moving, moving=fixed)
    _write(path, lta.to_string())


def read_lta(path: Path) -> Affine:
    """Reads an LTA of one transform; `path` is not named in errors.

    Raises:
        InputError: If it is none, or of a kind that nitransforms does not read.
        MissingPackageError: If nitransforms is not installed.
    """
    kind = _lta()
    try:
        return Affine(kind.from_string(_text(path)).to_ras())
    except InputError:
        raise
    except Exception as error:  # nitransforms checks by assertions
        raise InputError(
            expected="an LTA of one transform, of RAS to RAS or of voxels to voxels",
            got=f"something else ({str(error)[:80]})",
            advice="lta_convert --inlta FILE --outitk X.txt",
        ) from error


def _lta() -> "type[FSLinearTransform]":
    require("nitransforms", extra="formats", purpose="LTA files of FreeSurfer")
    from nitransforms.io.lta import FSLinearTransform

    return FSLinearTransform


def _numbers(path: Path, count: int) -> Float[np.ndarray, " n"]:
    """The numbers of a text file without its comments."""
    lines = [line.partition("#")[0] for line in _text(path).splitlines()]
    try:
        numbers = np.array(" ".join(lines).split(), float)
    except ValueError as error:
        raise InputError(expected=f"{count} numbers", got=str(error)[:80]) from error
    if numbers.size != count or not np.isfinite(numbers).all():
        raise InputError(
            expected=f"{count} finite numbers: one matrix", got=f"{numbers.size}"
        )
    return numbers


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(expected="text", got="other bytes") from error


def _row(numbers: Float[np.ndarray, " n"]) -> str:
    return " ".join(f"{number:.12g}" for number in numbers)


def _write(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")

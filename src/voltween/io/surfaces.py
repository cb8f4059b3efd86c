"""Surfaces: their vertices are moved, and all else in their files stays.

GIFTI states positions in RAS+ mm of the scanner. STL, VTK and PLY files state a frame
in their header if 3D Slicer has written them, and none otherwise.
"""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from jaxtyping import Float

from voltween.errors import AssumptionWarning, InputError, SuspiciousInputWarning
from voltween.io.itk import ITK_FRAME, OWN_FRAME, from_ras, to_ras
from voltween.process import require
from voltween.storage import (
    PathLike,
    check_free_space,
    check_suffix,
    existing_file,
    naming,
    whole_file,
)

_GIFTI = (".gii", ".gii.gz")
_MESHES = (".stl", ".vtk", ".vtp", ".ply")
SURFACE_SUFFIXES = (*_GIFTI, *_MESHES)
"""Suffixes of the surface files that are read and written."""
_HEAD_BYTES = 300
_MARGIN_BYTES = 1 << 16  # for headers
_POINTS = "NIFTI_INTENT_POINTSET"
_STALE = "Normals"

Mapping = Callable[[Float[np.ndarray, "n 3"]], Float[np.ndarray, "n 3"]]


def is_surface_file(path: Path) -> bool:
    """Whether `move_surface` reads such a file, by its suffix."""
    return path.name.lower().endswith(SURFACE_SUFFIXES)


def check_surface_name(target: Path, source: Path) -> None:
    """Checks the name of a file for a moved surface, before the work for it.

    Raises:
        InputError: If a surface like the source is not written to files of this suffix.
    """
    suffixes = _GIFTI if _is_gifti(source) else _MESHES
    check_suffix(target, suffixes, f"a surface like {source.name}")


def _is_gifti(path: Path) -> bool:
    return path.name.lower().endswith(_GIFTI)


def move_surface(
    source: PathLike, target: PathLike, mapping: Mapping, *, frame: str | None = None
) -> int:
    """Writes a surface whose vertices were mapped; returns their number.

    The new file has the frame of the old one; triangles and data stay, normals are left
    out.

    Args:
        source: A surface (.gii, .stl, .vtk, .vtp, .ply).
        target: A file of the same family: GIFTI, or one of the others.
        mapping: Maps positions in RAS+ mm, such as `transform.map_positions`.
        frame: RAS or LPS, for a file that does not state it. Without it, such a file
            is taken to be in LPS, as by 3D Slicer, with an `AssumptionWarning`.

    Raises:
        InputError: If the file is none, or states another frame.
        MissingPackageError: If PyVista is not installed, for all but GIFTI.
        OutputError: If the file cannot be written.
    """
    file, out = existing_file(Path(source)), Path(target)
    check_surface_name(out, file)
    frame = frame and frame.upper()
    with naming(file):
        if _is_gifti(file):
            return _move_gifti(file, out, mapping, frame)
        return _move_mesh(file, out, mapping, frame)


def _move_gifti(file: Path, out: Path, mapping: Mapping, frame: str | None) -> int:
    if frame not in (None, OWN_FRAME):
        raise InputError(
            expected=f"{OWN_FRAME}, the frame of GIFTI", got=f"{frame} as an argument"
        )
    try:
        surface = nibabel.load(file)
        arrays = surface.get_arrays_from_intent(_POINTS)
    except Exception as error:  # nibabel raises what its XML parser raises
        raise InputError(
            expected="a GIFTI surface", got=f"something else ({str(error)[:80]})"
        ) from error
    if len(arrays) != 1 or np.shape(arrays[0].data)[1:] != (3,):
        raise InputError(expected="one set of vertices", got=f"{len(arrays)} of them")
    _warn_of_freesurfer(file, {**surface.meta, **arrays[0].meta})
    stored = np.asarray(arrays[0].data)
    arrays[0].data = _mapped(stored, mapping, OWN_FRAME).astype(stored.dtype)
    with whole_file(out) as partial:
        partial.write_bytes(_packed(surface.to_bytes(), out))
    return len(stored)


def _packed(content: bytes, out: Path) -> bytes:
    import gzip

    return gzip.compress(content, mtime=0) if out.name.endswith(".gz") else content


def _warn_of_freesurfer(file: Path, meta: dict[str, Any]) -> None:
    """Warns of positions that FreeSurfer counts from the middle of a volume."""
    center = [float(meta.get(f"VolGeomC_{axis}", 0) or 0) for axis in "RAS"]
    if any(center):
        warnings.warn(
            f"{file}: its vertices are probably in FreeSurfer's surface RAS, which is "
            f"{center} mm away from the scanner's: write it by mris_convert "
            "--to-scanner",
            SuspiciousInputWarning,
            stacklevel=4,
        )


def _move_mesh(file: Path, out: Path, mapping: Mapping, frame: str | None) -> int:
    require("pyvista", extra="figures", purpose="surfaces of STL, VTK and PLY")
    import pyvista

    try:
        mesh = pyvista.read(file)
    except Exception as error:  # VTK's readers raise several
        raise InputError(
            expected="a surface (STL, VTK, PLY)",
            got=f"something else ({str(error)[:80]})",
        ) from error
    if not isinstance(mesh, pyvista.PolyData) or mesh.n_points == 0:
        raise InputError(
            expected="a surface with vertices",
            got=f"a {type(mesh).__name__} of {getattr(mesh, 'n_points', 0)} points",
        )
    stated = _settled_frame(file, frame)
    mesh.points = _mapped(np.asarray(mesh.points), mapping, stated)
    for data in (mesh.point_data, mesh.cell_data):
        if _STALE in data:
            del data[_STALE]
    with whole_file(out) as partial:
        # On a disk that is full, VTK cuts files short without an error, or crashes.
        check_free_space(out, 2 * 1024 * mesh.actual_memory_size + _MARGIN_BYTES)
        _save(mesh, partial, stated)
    return int(mesh.n_points)


def _save(mesh: Any, path: Path, frame: str) -> None:
    """Writes a mesh; the headers of STL and VTK state the frame as Slicer does."""
    from vtkmodules.vtkIOGeometry import vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter

    writers: dict[str, Any] = {".stl": vtkSTLWriter, ".vtk": vtkPolyDataWriter}
    kind = writers.get(path.suffix.lower())
    if kind is None:
        mesh.save(path)
        return
    writer = kind()
    writer.SetFileName(str(path))
    writer.SetInputData(mesh.triangulate() if path.suffix.lower() == ".stl" else mesh)
    writer.SetFileTypeToBinary()
    writer.SetHeader(f"Voltween. SPACE={frame}")
    if not writer.Write():
        raise OSError("VTK could not write all of it")


def _settled_frame(file: Path, frame: str | None) -> str:
    with file.open("rb") as opened:
        head = opened.read(_HEAD_BYTES).decode("latin-1")
    match = re.search(r"SPACE=(RAS|LPS)", head)
    if match and frame and match[1] != frame:
        raise InputError(
            expected=f"the frame that the file states, {match[1]}",
            got=f"{frame} as an argument",
            advice="leave the argument out, or correct the file",
        )
    if match or frame:
        return match[1] if match else str(frame)
    warnings.warn(
        f"{file}: does not state its frame; taken to be {ITK_FRAME}, as 3D Slicer "
        f"does. If it is {OWN_FRAME}, say so: --frame of `voltween apply`, in Python "
        "frame=",
        AssumptionWarning,
        stacklevel=4,
    )
    return ITK_FRAME


def _mapped(
    stored: Float[np.ndarray, "n 3"], mapping: Mapping, frame: str
) -> Float[np.ndarray, "n 3"]:
    if not np.isfinite(stored).all():
        raise InputError(expected="finite positions", got="NaN or infinity")
    return from_ras(mapping(to_ras(stored.astype(np.float64), frame)), frame)

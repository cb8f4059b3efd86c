"""OME-Zarr folders, the format of microscopy, read and written by ngff-zarr.

OME-Zarr (0.4, 0.5) places an image by a scale and a translation per axis, and RFC-4
names the anatomical direction of an axis; it cannot hold oblique grids. Axes are
written along L, P and S, which all readers place alike.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.process import require
from voltween.spatial import Grid, nearest_world_axes
from voltween.storage import ZARR_MARKS, named, unwritable, workspace

SUFFIX = ".ome.zarr"
_AXES = "xyz"
_CHUNK = 96  # voxels along an axis
_OFF_AXIS = 1e-5  # of a unit vector
_VERSION = "0.5"
# The axis of RAS+ mm along which positions of an orientation are counted, and its sign.
_DIRECTIONS = {
    "left-to-right": (0, 1.0),
    "right-to-left": (0, -1.0),
    "posterior-to-anterior": (1, 1.0),
    "anterior-to-posterior": (1, -1.0),
    "inferior-to-superior": (2, 1.0),
    "superior-to-inferior": (2, -1.0),
}
_USUAL = ("right-to-left", "anterior-to-posterior", "inferior-to-superior")
_MM = {
    "meter": 1e3,
    "centimeter": 10.0,
    "millimeter": 1.0,
    "micrometer": 1e-3,
    "nanometer": 1e-6,
}
_PURPOSE = "OME-Zarr images"


def is_ome_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr group."""
    return any((folder / mark).is_file() for mark in ZARR_MARKS)


def read_ome_zarr(folder: Path) -> tuple[np.ndarray, Grid]:
    """Reads the voxels (I, J, K) and the grid of the finest level; not named in errors.

    Axes without an anatomical direction are taken to point to L, P and S, with a
    warning.

    Raises:
        InputError: If it is damaged, or no single 3D image.
        MissingPackageError: If ngff-zarr is not installed.
    """
    require("ngff-zarr", extra="zarr", purpose=_PURPOSE)
    from ngff_zarr import from_ome_zarr

    try:
        image = from_ome_zarr(str(folder)).images[0]
        _check_is_3d(image)
        data = np.asarray(image.data)
    except (InputError, MemoryError):  # the second is no fault of the file
        raise
    except Exception as error:  # its readers raise many kinds
        raise InputError(
            expected="a whole OME-Zarr image",
            got=f"something else ({' '.join(str(error).split())[:100]})",
        ) from error
    others = [n for n, name in enumerate(image.dims) if name not in _AXES]
    names = [name for name in image.dims if name in _AXES]
    data = data.squeeze(tuple(others)).transpose([names.index(name) for name in _AXES])
    i, j, k = data.shape
    return data, Grid((i, j, k), _affine(image))


def _check_is_3d(image: Any) -> None:
    sizes = dict(zip(image.dims, image.data.shape, strict=True))
    has_many = any(n > 1 for name, n in sizes.items() if name not in _AXES)
    if has_many or not sizes.keys() >= set(_AXES):
        advice = "store one channel at one time in an image of its own"
        raise InputError(
            expected="one OME-Zarr image with axes x, y and z",
            got=", ".join(f"{name}: {n}" for name, n in sizes.items()),
            advice=advice if has_many else "",
        )


def _affine(image: Any) -> np.ndarray:
    """Voxel (i, j, k) to RAS+ mm."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    directions = _directions(image)
    for column, (name, direction) in enumerate(zip(_AXES, directions, strict=True)):
        axis, sign = _DIRECTIONS[direction]
        mm = sign * _unit_mm(image, name)
        affine[axis, column] = mm * image.scale[name]
        affine[axis, 3] = mm * image.translation[name]
    return affine


def _directions(image: Any) -> list[str]:
    """The direction of x, y and z in words."""
    stated = image.axes_orientations or {}
    if not stated:
        _warn("states no anatomical directions: x, y and z are taken for L, P and S")
        return [*_USUAL]
    words = [str(getattr(stated.get(n), "value", "")) for n in _AXES]
    axes = {_DIRECTIONS[word][0] for word in words if word in _DIRECTIONS}
    if len(axes) < len(_AXES):
        raise InputError(
            expected="three axes along left, posterior and superior, or against them",
            got=", ".join(word or "none" for word in words),
            advice="state other directions by these names",
        )
    is_usual = all(word in _USUAL for word in words)
    if not is_usual and any(image.translation[name] for name in _AXES):
        _warn(
            f"has axes {', '.join(words)}: positions are counted along them (RFC-4), "
            "which some writers do not do; check the place"
        )
    return words


def _unit_mm(image: Any, name: str) -> float:
    unit = (image.axes_units or {}).get(name)
    if unit is None:
        _warn(f"states no unit of {name}, taken for mm")
        return 1.0
    if str(unit) not in _MM:
        raise InputError(expected=f"one of the units {', '.join(_MM)}", got=str(unit))
    return _MM[str(unit)]


def _warn(text: str) -> None:
    line = named(f"the OME-Zarr image {text}")
    warnings.warn(line, SuspiciousInputWarning, stacklevel=2)


def write_ome_zarr(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Writes voxels (I, J, K) as a new folder, whole or not at all, with one level.

    Raises:
        InputError: If the grid is oblique, or something of this name exists.
        OutputError: If the folder cannot be written to.
        MissingPackageError: If ngff-zarr is not installed.
    """
    require("ngff-zarr", extra="zarr", purpose=_PURPOSE)
    import ngff_zarr
    from dask.array import from_array

    if path.exists():
        raise InputError(
            about=path,
            expected="a new folder for OME-Zarr",
            got="one that exists",
            advice="delete it, or give another name",
        )
    in_order, affine = _along_lps(data, grid)
    voxels = np.ascontiguousarray(in_order.T)
    image = ngff_zarr.NgffImage(
        data=from_array(voxels, chunks=_CHUNK),  # type: ignore[no-untyped-call]
        dims=tuple(reversed(_AXES)),
        scale={name: float(abs(affine[n, n])) for n, name in enumerate(_AXES)},
        translation={
            name: float(np.sign(affine[n, n]) * affine[n, 3])
            for n, name in enumerate(_AXES)
        },
        axes_units=dict.fromkeys(_AXES, "millimeter"),
        axes_orientations=ngff_zarr.LPS,
    )
    try:
        with workspace(path.parent) as folder:
            levels = ngff_zarr.to_multiscales(image, scale_factors=[], chunks=_CHUNK)
            ngff_zarr.to_ome_zarr(str(folder / path.name), levels, version=_VERSION)
            (folder / path.name).rename(path)
    except OSError as error:
        raise unwritable(path, error) from error
    except MemoryError:  # no fault of the disk
        raise
    except Exception as error:  # its writers raise many kinds, also on a full disk
        raise unwritable(path, str(error)) from error


def _along_lps(data: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels with axes that point to L, P and S, and their affine to RAS+.

    Raises:
        InputError: If the axes are at an angle to these.
    """
    order = np.argsort(nearest_world_axes(grid))
    turned = grid.affine[:3, :3][:, order]
    directions = turned / np.linalg.norm(turned, axis=0)
    if np.abs(np.abs(directions) - np.eye(3)).max() > _OFF_AXIS:
        raise InputError(
            about="grid",
            expected="axes along left, posterior and superior, as OME-Zarr has them",
            got="an oblique grid",
            advice="write NIfTI, or resample onto a grid along the axes (--spacing-mm)",
        )
    wanted = np.array([_DIRECTIONS[word][1] for word in _USUAL])
    is_flipped = np.sign(directions.diagonal()) != wanted
    shape = np.array(grid.shape)[order]
    first = np.zeros(3)
    first[order] = np.where(is_flipped, shape - 1.0, 0.0)
    affine = np.eye(4)
    affine[:3, :3] = np.diag(wanted * np.linalg.norm(turned, axis=0))
    affine[:3, 3] = grid.voxel_to_world(first)
    flipped = np.flip(data.transpose(order), tuple(np.flatnonzero(is_flipped)))
    return flipped, affine

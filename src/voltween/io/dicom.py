"""Reads a DICOM series as one volume, if its slices are a regular stack."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.io.dicom_decoding import decompress
from voltween.io.dicom_series import slices_of_folder
from voltween.io.dicom_slices import VARYING, Slice, read_dicom_header, slices_of
from voltween.io.itk import grid_in_frame
from voltween.io.volume_file import check_has_three_axes
from voltween.spatial import Grid

_MOST_SHOWN = 4
_SAME_PLACE_MM = 1e-3
_AXES_TOLERANCE = 1e-3
# Scanners round positions; slices may be this far from where a regular stack has them.
_PLACE_TOLERANCE_MM = 0.1
_PLACE_TOLERANCE_STEPS = 0.1


def read_dicom_folder(folder: Path, series: str = "") -> tuple[np.ndarray, Grid]:
    """Reads the voxels (I, J, K) and the grid of a series; see `slices_of_folder`.

    Slices of a tilted gantry give a sheared grid.

    Raises:
        InputError: If the series cannot be chosen or read, or its slices are no regular
            stack: the slices are named.
    """
    return _read_stack(slices_of_folder(folder, series))


def dicom_grid(path: Path, series: str = "") -> Grid:
    """The grid of a series or of a file with several slices; no voxels are read.

    Raises:
        InputError: As `read_dicom_folder`.
    """
    return _ordered(dicom_slices(path, series))[1]


def dicom_slices(path: Path, series: str = "") -> list[Slice]:
    """The slices of a series in a folder, or of a file.

    Raises:
        InputError: If the series cannot be chosen, or a file is damaged.
    """
    if path.is_dir():
        return slices_of_folder(path, series)
    return slices_of(path, read_dicom_header(path))


def read_dicom_file(path: Path) -> tuple[np.ndarray, Grid]:
    """Reads the voxels (I, J, K) and the grid of a file with several slices.

    Raises:
        InputError: As `read_dicom_folder`, or if it holds one slice.
    """
    slices = dicom_slices(path)
    if len(slices) == 1:
        raise InputError(
            expected="one 3D image",
            got="one slice of a DICOM series",
            advice="give the folder of the series",
        )
    return _read_stack(slices)


def _read_stack(slices: list[Slice]) -> tuple[np.ndarray, Grid]:
    ordered, grid = _ordered(slices)
    _compare_bits(ordered)
    return _voxels(ordered), grid


def _ordered(slices: list[Slice]) -> tuple[list[Slice], Grid]:
    """The slices in the order of their places, and the grid of their stack."""
    check_has_three_axes((*slices[0].shape, len(slices)))
    _check_axes(slices)
    first = slices[0].axes / np.linalg.norm(slices[0].axes, axis=0)
    normal = np.cross(first[:, 0], first[:, 1])
    ordered = sorted(slices, key=lambda part: float(part.position @ normal))
    positions = np.array([part.position for part in ordered])
    _check_places_are_single(ordered, positions @ normal)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    _check_spacing(ordered, positions, step)
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2], affine[:3, 3] = slices[0].axes, step, positions[0]
    return ordered, grid_in_frame((*slices[0].shape, len(ordered)), affine)


def _check_axes(slices: Sequence[Slice]) -> None:
    """Checks that all slices have the axes and size of most."""
    looks = [
        (part.shape, tuple(np.rint(part.axes.ravel() / _AXES_TOLERANCE)))
        for part in slices
    ]
    usual = slices[looks.index(Counter(looks).most_common(1)[0][0])]
    others = [
        part
        for part in slices
        if part.shape != usual.shape
        or np.abs(part.axes - usual.axes).max() > _AXES_TOLERANCE
    ]
    if others:
        raise _irregular(
            "slices of one size and orientation",
            f"{len(others)} of {len(slices)} that differ: {_listed(others)}",
            "move them out of the folder, as localizers are",
        )


def _check_places_are_single(
    slices: Sequence[Slice], depths_mm: Float[np.ndarray, " n"]
) -> None:
    together = [
        (one, other)
        for (one, other), gap in zip(pairwise(slices), np.diff(depths_mm), strict=True)
        if gap < _SAME_PLACE_MM
    ]
    if not together:
        return
    one, other = together[0]
    differing = [
        f"{name} {a!r} and {b!r}"
        for name, a, b in zip(VARYING, one.varying, other.varying, strict=True)
        if a != b
    ]
    raise _irregular(
        "one slice at each place",
        f"{len(together)} places with several, such as {one.name} and {other.name}"
        + (f", which differ in {', '.join(differing)}" if differing else ""),
        "copy the slices of one volume into a folder of their own",
    )


def _check_spacing(
    slices: Sequence[Slice],
    positions: Float[np.ndarray, "n 3"],
    step: Float[np.ndarray, " 3"],
) -> None:
    """Checks that the slices are where equal steps would have them."""
    expected = positions[0] + np.arange(len(slices))[:, None] * step
    errors_mm = np.linalg.norm(positions - expected, axis=1)
    tolerance_mm = min(
        _PLACE_TOLERANCE_MM, _PLACE_TOLERANCE_STEPS * float(np.linalg.norm(step))
    )
    if errors_mm.max() <= tolerance_mm:
        return
    gaps_mm = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    usual_mm = float(np.median(gaps_mm))
    wide = [n for n in np.argsort(-gaps_mm) if gaps_mm[n] > 1.5 * usual_mm]
    shown = [
        f"{gaps_mm[n]:.4g} mm between {slices[n].name} and {slices[n + 1].name}"
        for n in wide[:_MOST_SHOWN]
        or [int(np.argmax(gaps_mm)), int(np.argmin(gaps_mm))]
    ]
    missing = "are slices missing? " if wide else ""
    raise _irregular(
        "slices at equal distances",
        f"{', '.join(shown)}, and {usual_mm:.4g} mm elsewhere",
        f"{missing}complete the folder, or resample the slices by a DICOM converter",
    )


def _voxels(slices: Sequence[Slice]) -> np.ndarray:
    """The values of all slices (I, J, K), scaled as each slice says."""
    if all(part.pixels for part in slices):
        return np.stack([_plain_values(part) for part in slices], axis=-1)
    files = {part.path: part for part in slices}
    if len(files) < len(slices) and len({part.scale for part in slices}) > 1:
        raise _irregular(
            "one slope and intercept for all planes of a compressed file",
            "several",
            "convert the scan to NIfTI by dcm2niix",
        )
    values = dict(zip(files, decompress(list(files.values())), strict=True))
    return np.stack([values[part.path][:, :, part.frame] for part in slices], axis=-1)


def _compare_bits(slices: Sequence[Slice]) -> None:
    """Warns of slices that cut more or fewer bits off their numbers than most do."""
    cut = Counter(part.pixels.unused_bits for part in slices if part.pixels)
    if len(cut) > 1:
        usual = cut.most_common(1)[0][0]
        others = [p for p in slices if p.pixels and p.pixels.unused_bits != usual]
        warnings.warn(
            f"{slices[0].path.parent}: the headers of {_listed(others)} state another "
            "number of bits per voxel (BitsStored) than those of the other slices",
            SuspiciousInputWarning,
            stacklevel=2,
        )


def _plain_values(part: Slice) -> np.ndarray:
    """The values (I, J) of a slice whose pixels are not compressed."""
    pixels, count = part.pixels, math.prod(part.shape)
    if pixels is None:
        raise ValueError("the pixels are compressed")
    with part.path.open("rb") as file:
        file.seek(pixels.offset)
        stored = np.fromfile(file, pixels.dtype, count)
    if len(stored) < count:
        raise InputError(
            about=part.path.name,
            expected="a whole DICOM file",
            got="one that ends before its pixels do",
        )
    native = stored.astype(pixels.dtype.newbyteorder("="))
    numbers = (native << pixels.unused_bits) >> pixels.unused_bits
    plane = numbers.reshape(part.shape, order="F")
    slope, intercept = part.scale
    if (slope, intercept) == (1.0, 0.0):
        return plane
    return (plane * slope + intercept).astype(np.float32)


def _irregular(expected: str, got: str, advice: str) -> InputError:
    return InputError(expected=expected, got=got, advice=advice)


def _listed(slices: Sequence[Slice]) -> str:
    names = [part.name for part in slices[:_MOST_SHOWN]]
    return ", ".join(names) + (", ..." if len(slices) > _MOST_SHOWN else "")

"""Headers of MRtrix images (.mif, .mif.gz, .mih).

Voxels are kept in the order in which the file stores them: exchanged and reversed axes
change the grid, and no number moves.

References:
    https://mrtrix.readthedocs.io/en/latest/getting_started/image_data.html
"""

import re
import zlib
from typing import NamedTuple

import numpy as np

from voltween.errors import InputError
from voltween.io.container import Content
from voltween.io.header_text import (
    damaged,
    neighbor,
    numbers_in,
    sizes_in,
    whole_numbers_in,
)
from voltween.io.stored import GZIP, RAW, StoredVoxels
from voltween.io.volume_file import VolumeFile, check_has_three_axes, volumes_of
from voltween.spatial import Grid

_MOST_HEADER_BYTES = 1 << 20
_GZIP_WINDOW = 31  # of zlib
_TYPE = re.compile(r"(Int|UInt|Float)(8|16|32|64)(LE|BE)?")
_CODES = {"Int": "i", "UInt": "u", "Float": "f"}
_END = b"\nEND\n"


class _Layout(NamedTuple):
    """The order of the axes in the file."""

    axes: list[int]
    """The fastest first."""
    is_reversed: list[bool]
    """For each axis of the image."""


def open_mrtrix(content: Content) -> VolumeFile:
    """Reads and checks the header of an MRtrix image.

    Raises:
        InputError: If it is damaged, of single bits or complex numbers, or its volumes
            are neither the fastest nor the slowest axis.
    """
    fields = _read_header(content)
    axes = len(_single(fields, "dim").split(","))
    sizes = sizes_in(_spaced(fields, "dim"), "dim", axes)
    if axes < 3:
        check_has_three_axes(tuple(sizes))
    layout = _layout(_single(fields, "layout"), axes)
    further = [axis for axis in layout.axes if axis >= 3 and sizes[axis] > 1]
    ordered = [axis for axis in layout.axes if axis < 3 or sizes[axis] > 1]
    place = ordered.index(further[0]) if len(further) == 1 else None
    if further and (place not in (0, 3) or layout.is_reversed[further[0]]):
        raise InputError(
            expected="volumes that are the slowest or the fastest axis of the file",
            got=f"layout {_single(fields, 'layout')}",
            advice="mrconvert FILE X.mif -strides 1,2,3,4",
        )
    spatial = [axis for axis in ordered if axis < 3]
    shape = tuple(sizes[axis] for axis in spatial)
    volumes = sizes[further[0]] if further else 1
    is_fastest = place == 0
    scaling = numbers_in(_spaced(fields, "scaling", "0,1"), "scaling")
    if len(scaling) != 2:
        raise damaged("offset and factor as `scaling`", fields["scaling"])
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=volumes_of(shape if is_fastest else (*shape, volumes)),
        components=volumes if is_fastest else 1,
        dtype=_type(_single(fields, "datatype")),
        grid=_grid(fields, shape, spatial, layout),
        voxels=_voxels(fields, content),
        is_interleaved=is_fastest,
        slope=scaling[1],
        intercept=scaling[0],
        meaning="series" if volumes > 1 else "scalar",
        step_s=_step_s(fields, further),
    )


def _read_header(content: Content) -> dict[str, list[str]]:
    """The values of all keys, which can stand several times."""
    with content.path.open("rb") as file:
        stored = file.read(_MOST_HEADER_BYTES)
    if content.is_gzip:
        decompressor = zlib.decompressobj(_GZIP_WINDOW)
        try:
            stored = decompressor.decompress(stored, _MOST_HEADER_BYTES)
        except zlib.error as error:
            raise damaged("a whole gzip file", str(error)) from error
    text, mark, _ = stored.replace(b"\r\n", b"\n").partition(_END)
    if not mark:
        raise damaged("a line END after the header", "none")
    fields: dict[str, list[str]] = {}
    for line in text.decode("utf-8", "replace").splitlines()[1:]:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), []).append(value.strip())
    return fields


def _single(fields: dict[str, list[str]], name: str) -> str:
    """The value of a key that must be there once."""
    values = fields.get(name, [])
    if len(values) != 1 or not values[0]:
        raise damaged(f"the field `{name}` once", f"{len(values)} times")
    return values[0]


def _spaced(fields: dict[str, list[str]], name: str, default: str = "") -> str:
    """The numbers of a key, separated by blanks instead of commas."""
    value = default if default and name not in fields else _single(fields, name)
    return value.replace(",", " ")


def _layout(text: str, axes: int) -> _Layout:
    words = [word.strip() for word in text.split(",")]
    if not all(re.fullmatch(r"[+-]\d+", word) for word in words):
        raise damaged("a `layout` such as +0,+1,+2", text)
    order = [int(word[1:]) for word in words]
    if sorted(order) != list(range(axes)):
        raise damaged(f"each of {axes} axes once in `layout`", text)
    fastest_first = sorted(range(axes), key=lambda axis: order[axis])
    return _Layout(fastest_first, [word[0] == "-" for word in words])


def _type(name: str) -> np.dtype:
    match = _TYPE.fullmatch(name)
    if match is None or (match[2] != "8" and not match[3]):
        raise InputError(
            expected="a `datatype` of integers or real numbers, with its byte order",
            got=name,
            advice="mrconvert FILE X.mif -datatype float32le",
        )
    order = ">" if match[3] == "BE" else "<"
    try:
        return np.dtype(f"{order}{_CODES[match[1]]}{int(match[2]) // 8}")
    except TypeError as error:
        raise damaged("a `datatype` that exists", name) from error


def _grid(
    fields: dict[str, list[str]],
    shape: tuple[int, ...],
    spatial: list[int],
    layout: _Layout,
) -> Grid:
    """The grid of the axes as they are stored, in RAS+ mm as MRtrix has it."""
    spacing = numbers_in(_spaced(fields, "vox").replace("nan", "1"), "vox")
    rows = [numbers_in(row.replace(",", " "), "transform") for row in _rows(fields)]
    if len(spacing) < 3 or [len(row) for row in rows] != [4, 4, 4]:
        raise damaged("three rows of four numbers as `transform`, and `vox`", rows)
    transform = np.array([*rows, [0.0, 0.0, 0.0, 1.0]])
    nominal = transform @ np.diag([*spacing[:3], 1.0])
    affine = nominal.copy()
    for column, (axis, size) in enumerate(zip(spatial, shape, strict=True)):
        affine[:, column] = nominal[:, axis]
        if layout.is_reversed[axis]:
            affine[:, 3] += (size - 1) * nominal[:, axis]
            affine[:, column] *= -1
    return Grid((shape[0], shape[1], shape[2]), affine)


def _rows(fields: dict[str, list[str]]) -> list[str]:
    if "transform" not in fields:
        raise InputError(
            expected="a `transform` that places the image",
            got="none",
            advice="convert it to NIfTI, with its place",
        )
    return fields["transform"]


def _voxels(fields: dict[str, list[str]], content: Content) -> StoredVoxels:
    name, _, offset = _single(fields, "file").rpartition(" ")
    if not name:  # the voxels of a .mih stand at the beginning of their file
        name, offset = offset, "0"
    starts = whole_numbers_in(offset, "file")
    if len(starts) != 1 or starts[0] < 0:
        raise damaged("a file and a position in it as `file`", fields["file"])
    if name == ".":
        path, compression = content.path, GZIP if content.is_gzip else RAW
    else:
        path = neighbor(content.path, name)
        compression = GZIP if name.endswith(".gz") else RAW
    return StoredVoxels(path, starts[0], compression)


def _step_s(fields: dict[str, list[str]], further: list[int]) -> float:
    """The step along the axis of the volumes, which MRtrix states in seconds."""
    words = _single(fields, "vox").split(",")
    if not further or len(words) <= further[0]:
        return 1.0
    try:
        step = float(words[further[0]])
    except ValueError:
        return 1.0
    return step if 0 < step < np.inf else 1.0

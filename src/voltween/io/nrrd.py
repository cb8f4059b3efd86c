"""Headers of NRRD files, attached (.nrrd) or detached (.nhdr).

The format is described at http://teem.sourceforge.net/nrrd/format.html. Its frames are
named in words, such as right-anterior-superior.
"""

import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from voltween.errors import AssumptionWarning, InputError
from voltween.io.container import Content
from voltween.io.header_text import (
    damaged,
    neighbor,
    numbers_in,
    sizes_in,
    whole_numbers_in,
)
from voltween.io.itk import grid_in_frame
from voltween.io.stored import BZIP2, GZIP, RAW, StoredVoxels
from voltween.io.volume_file import VolumeFile, meaning_of, volumes_of
from voltween.spatial import Grid, Meaning

_MOST_HEADER_BYTES = 1 << 20
_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int"
    "|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_ENCODINGS = {
    "raw": RAW,
    "gzip": GZIP,
    "gz": GZIP,
    "bzip2": BZIP2,
    "bz2": BZIP2,
}
_BYTE_ORDERS = {"little": "<", "big": ">"}
_SPATIAL_KINDS = ("domain", "space", "???", "none")
_SERIES_KINDS = ("list", "time")
_MM_PER_UNIT = {
    **dict.fromkeys(("", "mm", "millimeter", "millimeters", "millimetre"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns"), 1e-3),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1e-6),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("m", "meter", "meters", "metre"), 1e3),
}
_ALIASES = {"centerings": "centers", "datafile": "data file"} | {
    name.replace(" ", ""): name
    for name in ("line skip", "byte skip", "axis mins", "axis maxs")
}
_FIELDS = {
    *("dimension", "type", "block size", "blocksize", "encoding", "endian", "content"),
    *("old min", "oldmin", "old max", "oldmax", "min", "max", "data file", "line skip"),
    *("byte skip", "number", "sample units", "sampleunits", "sizes", "spacings"),
    *("thicknesses", "axis mins", "axis maxs", "centers", "labels", "units", "kinds"),
    *("space", "space dimension", "space units", "space origin", "space directions"),
    "measurement frame",
}
"""All fields of the format: a name that differs from these is damaged."""
_MAY_BE_EMPTY = ("content",)
_ANATOMICAL = re.compile(r"(?:[RL])(?:[AP])(?:[SI])")
_VECTOR = re.compile(r"none|\([^)]*\)")


@dataclass(frozen=True)
class _Header:
    """The fields of a header, and what follows them."""

    path: Path
    fields: dict[str, str]
    end: int
    """Bytes of the header with the empty line at its end."""

    def get(self, name: str) -> str:
        return self.fields.get(name, "")

    def words(self, name: str) -> list[str]:
        return self.get(name).split()


def open_nrrd(content: Content) -> VolumeFile:
    """Reads and checks the header of an NRRD file.

    Raises:
        InputError: If the header contradicts itself or the file, its voxels are text,
            or its data are in a file elsewhere.
    """
    header = _read_header(content)
    axes = _dimension(header)
    sizes = sizes_in(header.get("sizes"), "sizes", axes)
    spatial = _spatial_axes(header, axes)
    others = [axis for axis in range(axes) if axis not in spatial]
    if len(others) > 1 or (others and others[0] not in (0, axes - 1)):
        raise InputError(
            expected="one 3D image", got=f"size {' x '.join(map(str, sizes))}"
        )
    image_sizes = tuple(sizes[axis] for axis in spatial)
    volumes = volumes_of(image_sizes)
    components = sizes[others[0]] if others else 1
    if others == [axes - 1] and _kind(header, axes - 1) in _SERIES_KINDS:
        # The order in the file is the same.
        volumes, components = volumes_of((*volumes, components)), 1
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=volumes,
        components=components,
        dtype=_type(header),
        grid=_grid(header, spatial[:3], image_sizes),
        voxels=_stored_voxels(header),
        is_interleaved=others == [0],
        meaning=_meaning(header, others, meaning_of(volumes, components)),
    )


def _kind(header: _Header, axis: int) -> str:
    """The kind of an axis; empty if the header does not state it."""
    kinds = header.words("kinds")
    return kinds[axis].lower() if kinds else ""


def _meaning(header: _Header, others: list[int], usual: Meaning) -> Meaning:
    """Colors, or series where volumes stand one by one for each voxel."""
    kind = _kind(header, others[0]) if others else ""
    if kind in ("rgb-color", "rgba-color"):
        return "colors"
    return "series" if kind in _SERIES_KINDS else usual


def _read_header(content: Content) -> _Header:
    """Reads the lines up to the first empty one."""
    if content.is_gzip:
        raise InputError(
            expected="an NRRD file",
            got="one that is compressed as a whole",
            advice="decompress it by gunzip",
        )
    with content.path.open("rb") as file:
        start = file.read(_MOST_HEADER_BYTES)
    end = re.search(rb"\r?\n\r?\n", start)
    head = start[: end.start()] if end else start
    fields: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if line.startswith("#") or value.startswith("=") or not line.strip():
            continue  # a comment, or a value of a key that is no field
        name = name.strip().lower()
        name = _ALIASES.get(name, name)
        if not colon or name not in _FIELDS:
            raise damaged("fields of the format NRRD", f"{name[:40]!r}")
        if name in fields:
            raise damaged(f"the field `{name}` once", "it twice")
        fields[name] = value.strip()
        if not fields[name] and name not in _MAY_BE_EMPTY:
            raise damaged(f"a value of the field `{name}`", "none")
        if name == "data file" and value.split()[:1] == ["LIST"]:
            break
    return _Header(content.path, fields, end.end() if end else len(start))


def _dimension(header: _Header) -> int:
    """The number of axes."""
    values = whole_numbers_in(_single(header, "dimension"), "dimension")
    if len(values) != 1:
        raise damaged("one number as `dimension`", header.get("dimension"))
    return values[0]


def _single(header: _Header, name: str) -> str:
    """The value of a field that must be there."""
    if not header.get(name):
        raise damaged(f"the field `{name}`", "a header without it")
    return header.get(name)


def _spatial_axes(header: _Header, axes: int) -> list[int]:
    """The axes along which positions change; another holds the numbers of a voxel."""
    vectors = _vectors(header)
    kinds = [kind.lower() for kind in header.words("kinds")]
    for name, values in (("space directions", vectors), ("kinds", kinds)):
        if values and len(values) != axes:
            raise damaged(f"`{name}` for each of {axes} axes", len(values))
    if vectors:
        return [axis for axis in range(axes) if vectors[axis] != "none"]
    if kinds:
        return [axis for axis in range(axes) if kinds[axis] in _SPATIAL_KINDS]
    return list(range(axes))


def _type(header: _Header) -> np.dtype:
    name = _single(header, "type").lower()
    code = next((c for c, names in _TYPES.items() if name in names.split("|")), None)
    if code is None:
        raise InputError(expected="a `type` of integers or real numbers", got=name)
    if code[1] == "1":
        return np.dtype(code)
    order = _BYTE_ORDERS.get(_single(header, "endian").lower())
    if order is None:
        raise damaged("`endian` little or big", header.get("endian"))
    return np.dtype(order + code)


def _stored_voxels(header: _Header) -> StoredVoxels:
    encoding = _single(header, "encoding").lower()
    if encoding not in _ENCODINGS:
        raise InputError(
            expected="voxels with the encoding raw, gzip or bzip2",
            got=encoding,
            advice="save it with encoding gzip",
        )
    if any(header.get(skip) not in ("", "0") for skip in ("line skip", "byte skip")):
        raise InputError(
            expected="voxels that follow the header",
            got="lines or bytes to be skipped",
            advice="save it with a tool that writes none of them (ITK, 3D Slicer)",
        )
    data_file = header.get("data file")
    compression = _ENCODINGS[encoding]
    if not data_file:
        return StoredVoxels(
            header.path, header.end, compression, starts_compressed=False
        )
    if len(data_file.split()) > 1 or "%" in data_file:
        raise InputError(
            expected="voxels in one file",
            got=f"several: {data_file!r}",
            advice="save it as one .nrrd file",
        )
    return StoredVoxels(neighbor(header.path, data_file), 0, compression)


def _vectors(header: _Header) -> list[str]:
    """The direction of every axis, or none, as text."""
    axes, stated = _dimension(header), header.get("space directions")
    vectors = _VECTOR.findall(stated)
    if stated and len(vectors) != axes:
        raise damaged(f"{axes} `space directions`", f"{len(vectors)} of them")
    return vectors


def _grid(header: _Header, spatial: list[int], sizes: tuple[int, ...]) -> Grid:
    """The grid of the spatial axes."""
    if not header.get("space directions"):
        return _grid_of_spacings(header, spatial, sizes)
    vectors = _vectors(header)
    affine = np.eye(4)
    units = _mm_per_unit(header, "space units")
    if len(units) not in (0, 3, 4):
        raise damaged("a unit per axis of space", header.get("space units"))
    for column, axis in enumerate(spatial):
        affine[:3, column] = _vector(vectors[axis], "space directions")
    if header.get("space origin"):
        affine[:3, 3] = _vector(header.get("space origin"), "space origin")
    affine[:3] *= np.array(units or [1.0] * 3)[:3, None]
    letters = "".join(word[:1] for word in header.get("space").split("-")).upper()
    frame = letters if len(letters) == 3 else header.get("space").upper()[:3]
    if _ANATOMICAL.fullmatch(frame):
        return grid_in_frame(sizes, affine, frame)
    _warn_of_assumption(header)
    return grid_in_frame(sizes, affine)


def _grid_of_spacings(
    header: _Header, spatial: list[int], sizes: tuple[int, ...]
) -> Grid:
    """The grid of a header that gives distances but no directions."""
    axes = range(_dimension(header))
    per_axis = {
        name: _numbers_or_nan(header, name, len(axes))
        for name in ("spacings", "axis mins", "axis maxs")
    }
    units = _mm_per_unit(header, "units") or [1.0] * len(axes)
    centers = header.words("centers") or ["cell"] * len(axes)
    if len(centers) != len(axes) or len(units) != len(axes):
        raise damaged(f"`centers` and `units` for each of {len(axes)} axes", "others")
    affine = np.eye(4)
    for column, axis in enumerate(spatial):
        spacing, low, high = (values[axis] for values in per_axis.values())
        is_node = centers[axis].lower() == "node"
        intervals = sizes[column] - 1 if is_node else sizes[column]
        if np.isnan(spacing):
            spacing = (high - low) / intervals if np.isfinite(high - low) else 1.0
        start = low if is_node else low + spacing / 2
        affine[column, column] = spacing * units[axis]
        affine[column, 3] = start * units[axis] if np.isfinite(low) else 0.0
    _warn_of_assumption(header)
    return grid_in_frame(sizes, affine)


def _warn_of_assumption(header: _Header) -> None:
    warnings.warn(
        f"{header.path}: its header does not say where left and right are (`space` is "
        f"{header.get('space') or 'missing'}): assumed, as ITK does, that the axes of "
        "its space point to the left, to the back and up",
        AssumptionWarning,
        stacklevel=2,
    )


def _vector(text: str, field: str) -> Float[np.ndarray, " 3"]:
    """A vector such as (1,0,0); of a fourth dimension, the first three numbers."""
    values = numbers_in(text.strip("() ").replace(",", " "), field)
    if len(values) not in (3, 4):
        raise damaged(f"3 numbers per vector of `{field}`", text)
    return np.array(values[:3])


def _numbers_or_nan(header: _Header, name: str, axes: int) -> list[float]:
    """A number per axis, NaN where the header gives none."""
    words = header.words(name) or ["nan"] * axes
    if len(words) != axes:
        raise damaged(f"`{name}` for each of {axes} axes", header.get(name))
    return [
        np.nan if word.lower() == "nan" else numbers_in(word, name)[0] for word in words
    ]


def _mm_per_unit(header: _Header, field: str) -> list[float]:
    """The factor to mm of each quoted unit of the field; none if it is missing."""
    units = re.findall(r'"([^"]*)"', header.get(field))
    for unit in units:
        if unit.strip().lower() not in _MM_PER_UNIT:
            warnings.warn(
                f"{header.path}: its unit of length, {unit!r}, is unknown: taken as mm",
                AssumptionWarning,
                stacklevel=2,
            )
    return [_MM_PER_UNIT.get(unit.strip().lower(), 1.0) for unit in units]

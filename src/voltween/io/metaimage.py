"""Headers of MetaImage files, attached (.mha) or detached (.mhd)."""

import warnings
from pathlib import Path

import numpy as np

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
from voltween.io.stored import RAW, ZLIB, StoredVoxels
from voltween.io.volume_file import VolumeFile, meaning_of, volumes_of
from voltween.spatial import Grid

_MOST_HEADER_BYTES = 1 << 20
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MM_PER_UNIT = {"": 1.0, "?": 1.0, "mm": 1.0, "um": 1e-3, "cm": 10.0}
_LAST_FIELD = "ElementDataFile"
_Fields = dict[str, str]


def open_metaimage(content: Content) -> VolumeFile:
    """Reads and checks the header of a MetaImage.

    Raises:
        InputError: If the header contradicts itself or the file, its voxels are text,
            or its data are in a file elsewhere.
    """
    fields, end = _read_header(content)
    axes = whole_numbers_in(_field(fields, "NDims"), "NDims")[0]
    sizes = tuple(sizes_in(_field(fields, "DimSize"), "DimSize", axes))
    volumes = volumes_of(sizes)
    _warn_of_scale(fields, content.path)
    components = _number(fields, "ElementNumberOfChannels", default=1)
    if components < 1:
        raise damaged("at least one channel", components)
    return VolumeFile(
        path=content.path,
        kind=content.kind,
        sizes=volumes,
        components=components,
        dtype=_type(fields),
        grid=_grid(fields, content.path, sizes),
        voxels=_stored_voxels(fields, content.path, end),
        is_interleaved=True,
        meaning=meaning_of(volumes, components),
        step_s=_step_s(fields) if len(volumes) > 3 else 1.0,
    )


def _step_s(fields: _Fields) -> float:
    """The distance of volumes along a fourth axis, which ITK takes for seconds."""
    text = _field(fields, "ElementSpacing", "ElementSize", default="")
    numbers = numbers_in(text, "ElementSpacing")
    return numbers[3] if len(numbers) > 3 and numbers[3] > 0 else 1.0


def _read_header(content: Content) -> tuple[_Fields, int]:
    """Reads the lines up to the one that says where the voxels are."""
    if content.is_gzip:
        raise InputError(
            expected="a MetaImage",
            got="one that is compressed as a whole",
            advice="decompress it by gunzip",
        )
    fields: _Fields = {}
    with content.path.open("rb") as file:
        while _LAST_FIELD not in fields and file.tell() < _MOST_HEADER_BYTES:
            line = file.readline(_MOST_HEADER_BYTES)
            if not line:
                break
            name, _, value = line.decode("utf-8", "replace").partition("=")
            if name.strip() in fields:
                raise damaged(f"the field `{name.strip()}` once", "it twice")
            fields[name.strip()] = value.strip()
        end = file.tell()
    _field(fields, _LAST_FIELD)
    return fields, end


def _field(fields: _Fields, *names: str, default: str | None = None) -> str:
    """The first of these fields that the header has."""
    for name in names:
        if fields.get(name):
            return fields[name]
    if default is None:
        raise damaged(f"the field `{names[0]}`", "a header without it")
    return default


def _number(fields: _Fields, name: str, *, default: int) -> int:
    values = whole_numbers_in(_field(fields, name, default=str(default)), name)
    if len(values) != 1:
        raise damaged(f"one number as `{name}`", fields[name])
    return values[0]


def _is_true(fields: _Fields, *names: str) -> bool:
    return _field(fields, *names, default="False")[:1] in "Tt1Yy"


def _type(fields: _Fields) -> np.dtype:
    name = _field(fields, "ElementType").removesuffix("_ARRAY")
    if name not in _TYPES:
        raise InputError(
            expected="an `ElementType` of integers or real numbers", got=name
        )
    is_big = _is_true(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return np.dtype((">" if is_big else "<") + _TYPES[name])


def _stored_voxels(fields: _Fields, path: Path, end: int) -> StoredVoxels:
    if _field(fields, "BinaryData", default="True")[:1] not in "Tt1Yy":
        raise InputError(
            expected="binary voxels",
            got="text",
            advice="save it with BinaryData = True",
        )
    skipped = _number(fields, "HeaderSize", default=0)
    if skipped < 0:
        raise InputError(
            expected="a `HeaderSize` of 0 or more",
            got=skipped,
            advice="save it as one .mha file",
        )
    compression = ZLIB if _is_true(fields, "CompressedData") else RAW
    name = fields[_LAST_FIELD]
    if name.upper() == "LOCAL":
        return StoredVoxels(path, end + skipped, compression, starts_compressed=False)
    if (len(name.split()) > 1 and not (path.parent / name).exists()) or "%" in name:
        raise InputError(
            expected="voxels in one file",
            got=f"several: {name!r}",
            advice="save it as one .mha file",
        )
    return StoredVoxels(
        neighbor(path, name), skipped, compression, starts_compressed=False
    )


def _grid(fields: _Fields, path: Path, sizes: tuple[int, ...]) -> Grid:
    """The grid; columns of directions stand one after another in the file."""
    axes = len(sizes)
    directions = _numbers(
        fields, ("TransformMatrix", "Orientation", "Rotation"), np.eye(axes)
    )
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), np.ones(axes))
    origin = _numbers(fields, ("Offset", "Position", "Origin"), np.zeros(axes))
    unit = _field(fields, "DistanceUnits", default="")
    if unit not in _MM_PER_UNIT:
        _warn(path, f"its unit of length, {unit!r}, is unknown: taken as mm")
    affine = np.eye(4)
    affine[:3, :3] = directions.T[:3, :3] * spacing[:3]
    affine[:3, 3] = origin[:3]
    affine[:3] *= _MM_PER_UNIT.get(unit, 1.0)
    return grid_in_frame(sizes, affine)


def _numbers(
    fields: _Fields, names: tuple[str, ...], default: np.ndarray
) -> np.ndarray:
    """The numbers of the first of these fields, in the shape of the default."""
    if empty := [name for name in names if fields.get(name) == ""]:
        raise damaged(f"numbers as `{empty[0]}`", "none")
    text = _field(fields, *names, default=" ".join(map(str, default.ravel())))
    values = numbers_in(text, names[0])
    if len(values) != default.size:
        raise damaged(f"{default.size} numbers as `{names[0]}`", text)
    return np.array(values).reshape(default.shape)


def _warn_of_scale(fields: _Fields, path: Path) -> None:
    slope = _field(fields, "ElementToIntensityFunctionSlope", default="1")
    offset = _field(fields, "ElementToIntensityFunctionOffset", default="0")
    if numbers_in(slope, "slope") != [1.0] or numbers_in(offset, "offset") != [0.0]:
        _warn(path, "its ElementToIntensityFunction is assumed to be 1, as ITK does")


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", AssumptionWarning, stacklevel=2)

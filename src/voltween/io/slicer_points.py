"""Points of 3D Slicer: markups as JSON (.mrk.json) and its older files (.fcsv)."""

import csv
import json
import warnings
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TypeVar

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.io.itk import FRAME_NUMBERS
from voltween.io.stored_points import StoredPoints, number

FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
"""Columns of an .fcsv file without a header of its own."""
_STATUS_PLACED = "2"  # a further column of new .fcsv files: 0 to 3, see _UNPLACED
_UNPLACED = ("undefined", "preview", "missing")
_MM_PER_UNIT = {"mm": 1.0, "um": 1e-3, "µm": 1e-3, "cm": 10.0, "m": 1000.0}
T = TypeVar("T", str, list, dict)


def parse_markups(path: Path) -> list[StoredPoints]:
    """Parses all lists of a markup file.

    Raises:
        InputError: If the text is no such file, or a list has another unit or frame
            than those that are known.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _no_markups(f"no JSON ({str(error)[:80]})") from error
    if not isinstance(content, dict) or "markups" not in content:
        raise _no_markups("JSON without `markups`")
    lists = _typed(content["markups"], list, "markups")
    if not lists:
        raise _no_markups("no list of points")
    return [_parse_list(_typed(each, dict, "markups"), path) for each in lists]


def _parse_list(markup: dict[str, object], path: Path) -> StoredPoints:
    points = [
        _typed(point, dict, "controlPoints")
        for point in _typed(markup.get("controlPoints"), list, "controlPoints")
    ]
    names = [_label(point) for point in points]
    placed = [_is_placed(point) for point in points]
    _warn_of_unplaced(names, placed, path)
    factor = _mm_per_unit(markup.get("coordinateUnits", "mm"))
    positions = [
        [factor * each for each in _position(point)]
        for point, is_placed in zip(points, placed, strict=True)
        if is_placed
    ]
    frame = markup.get("coordinateSystem")
    if frame is not None:
        frame = _typed(frame, str, "coordinateSystem").strip().upper()
    return StoredPoints(positions, _where(names, placed), frame)


def _typed(value: object, kind: type[T], about: str) -> T:
    if not isinstance(value, kind):
        raise _no_markups(f"{about!r} with {repr(value)[:40]}")
    return value


def _label(point: dict[str, object]) -> str:
    return _typed(point.get("label", ""), str, "label")


def _is_placed(point: dict[str, object]) -> bool:
    return point.get("positionStatus", "defined") not in _UNPLACED


def _position(point: dict[str, object]) -> list[float]:
    position = _typed(point.get("position"), list, "position")
    if len(position) != 3:
        raise _no_markups(f"'position' with {repr(position)[:40]}")
    return [number(value) for value in position]


def _mm_per_unit(stated: object) -> float:
    """Millimeters per unit; coded units are lists: [code, scheme, meaning]."""
    unit = stated[0] if isinstance(stated, list) and stated else stated
    if isinstance(unit, str) and unit in _MM_PER_UNIT:
        return _MM_PER_UNIT[unit]
    raise InputError(
        about="coordinateUnits",
        expected=f"a unit of length: {', '.join(_MM_PER_UNIT)}",
        got=repr(stated)[:40],
    )


def _no_markups(got: str) -> InputError:
    return InputError(expected="points as Slicer's markups (.mrk.json)", got=got)


def parse_fcsv(path: Path) -> StoredPoints:
    """Parses an .fcsv file.

    Raises:
        InputError: If the text is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        cells = [row for row in csv.reader(StringIO(text)) if row and row[0][:1] != "#"]
    except (ValueError, csv.Error) as error:
        raise _no_fcsv(str(error)[:80]) from error
    header = _header(text.splitlines())
    columns = header.get("columns", FCSV_COLUMNS).split(",")
    if not {"x", "y", "z"} <= set(columns):
        raise _no_fcsv(f"columns {', '.join(columns[:6])}")
    rows = [dict(zip(columns, row, strict=False)) for row in cells]
    names = [row.get("label", "") for row in rows]
    placed = [
        len(row) <= len(columns) or row[len(columns)].strip() == _STATUS_PLACED
        for row in cells
    ]
    _warn_of_unplaced(names, placed, path)
    positions = [[number(row.get(axis, "")) for axis in "xyz"] for row in rows]
    frame = header.get("CoordinateSystem", "").strip().upper()
    return StoredPoints(
        _where(positions, placed),
        _where(names, placed),
        FRAME_NUMBERS.get(frame, frame) or None,
    )


def _header(lines: Sequence[str]) -> dict[str, str]:
    """Keys and values of the comments at the top."""
    pairs = [each.lstrip("# ").partition("=") for each in lines if each[:1] == "#"]
    return {key.strip(): value.strip() for key, sign, value in pairs if sign}


def _no_fcsv(got: str) -> InputError:
    return InputError(expected="points as Slicer's .fcsv file", got=got)


S = TypeVar("S")


def _where(values: Sequence[S], chosen: Sequence[bool]) -> list[S]:
    return [v for v, is_chosen in zip(values, chosen, strict=True) if is_chosen]


def _warn_of_unplaced(names: Sequence[str], placed: Sequence[bool], path: Path) -> None:
    """Warns of points that have no position yet, which are left out.

    Raises:
        InputError: If one has no name: the order alone would then pair the others.
    """
    unplaced = _where(names, [not each for each in placed])
    if not unplaced:
        return
    if "" in unplaced:
        raise InputError(
            expected="a position of every point without a name",
            got=f"{unplaced.count('')} that are not placed",
            advice="place them in Slicer, or delete them",
        )
    warnings.warn(
        f"{path}: {', '.join(unplaced)} left out, as Slicer has no position of "
        f"{'it' if len(unplaced) == 1 else 'them'}",
        SuspiciousInputWarning,
        stacklevel=5,
    )

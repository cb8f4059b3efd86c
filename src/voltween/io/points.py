"""Points files: CSV and Slicer's .fcsv and .mrk.json, positions in mm."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from voltween.errors import InputError
from voltween.files import PathLike, existing_file, naming
from voltween.io.itk import to_ras
from voltween.spatial import Points

POINT_SUFFIXES = (".csv", ".fcsv", ".mrk.json")
"""Suffixes of the points files that Voltween writes."""
_FCSV_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


class _StoredPoints(NamedTuple):
    """Points as a file states them."""

    positions: list[list[float]]
    names: list[str]
    frame: str


def is_points_file(path: Path) -> bool:
    """Whether `read_points` reads such a file, by its suffix; also any .json."""
    return path.name.endswith((*POINT_SUFFIXES, ".json"))


def read_points(path: PathLike, frame: str | None = None) -> Points:
    """Reads points from a CSV (columns x, y, z) or Slicer file (.fcsv, .mrk.json).

    A CSV states its frame, RAS or LPS, in a column `frame`. The argument overrides the
    file's frame; a CSV without a frame is in RAS. Returns points in RAS+ mm.

    Raises:
        InputError: If the file is missing, has other columns, or an unknown frame.
    """
    file = existing_file(Path(path))
    with naming(file):
        try:
            stored = _parse(file)
            mm = np.array(stored.positions, dtype=np.float64).reshape(-1, 3)
        except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
            raise InputError(
                expected="points as a CSV with columns x,y,z or a Slicer .fcsv or "
                ".mrk.json file",
                got=f"something else ({error})",
            ) from error
        return Points(to_ras(mm, frame or stored.frame), tuple(stored.names))


def _parse(path: Path) -> _StoredPoints:
    """Parses a points file by its suffix.

    Raises:
        ValueError, KeyError, IndexError, TypeError, csv.Error: If the text is not such
            a file.
    """
    if path.name.endswith(".json"):
        return _parse_markups(path)
    return _parse_fcsv(path) if path.suffix == ".fcsv" else _parse_csv(path)


def _parse_csv(path: Path) -> _StoredPoints:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *lines = csv.reader(file)
    columns = [column.strip().lower() for column in header]
    if missing := set("xyz") - set(columns):
        raise ValueError(f"no column {', '.join(sorted(missing))}")
    rows = [dict(zip(columns, line, strict=True)) for line in lines if line]
    positions = [[float(row[axis]) for axis in "xyz"] for row in rows]
    names = [row["name"] for row in rows if "name" in row]
    frames = {row["frame"].strip().upper() for row in rows if "frame" in row} or {"RAS"}
    if len(frames) != 1:
        raise ValueError(f"expected one frame for all points, got {sorted(frames)}")
    return _StoredPoints(positions, names, frames.pop())


def _parse_fcsv(path: Path) -> _StoredPoints:
    lines = path.read_text().splitlines()
    header = dict(
        line.lstrip("# ").split(" = ", 1)
        for line in lines
        if line.startswith("#") and " = " in line
    )
    columns = header.get("columns", _FCSV_COLUMNS).split(",")
    rows = [
        dict(zip(columns, row, strict=False))
        for row in csv.reader(
            line for line in lines if line and not line.startswith("#")
        )
    ]
    positions = [[float(row[axis]) for axis in "xyz"] for row in rows]
    names = [row.get("label", "") for row in rows]
    return _StoredPoints(positions, names, header["CoordinateSystem"].strip())


def _parse_markups(path: Path) -> _StoredPoints:
    markups = json.loads(path.read_text())["markups"][0]
    points = markups["controlPoints"]
    names = [point.get("label", "") for point in points]
    positions = [list(map(float, point["position"])) for point in points]
    return _StoredPoints(positions, names, markups["coordinateSystem"])


def format_points(points: Points, file_name: str) -> str:
    """Text of a points file in RAS, in the format that the file name's suffix says."""
    names = points.names or tuple(str(n + 1) for n in range(len(points.mm)))
    rows = [(*xyz, name) for xyz, name in zip(points.mm.tolist(), names, strict=True)]
    if file_name.endswith(".csv"):
        return _csv_text(["x", "y", "z", "name", "frame"], [(*r, "RAS") for r in rows])
    if file_name.endswith(".fcsv"):
        header = "# Markups fiducial file version = 4.11\n# CoordinateSystem = RAS\n"
        header += f"# columns = {_FCSV_COLUMNS}\n"
        lines = [
            (n, *xyz, 0, 0, 0, 1, 1, 1, 0, name, "", "")
            for n, (*xyz, name) in enumerate(rows, 1)
        ]
        return header + _csv_text(None, lines)
    control_points = [
        {"id": str(n), "label": name, "position": xyz}
        for n, (name, xyz) in enumerate(zip(names, points.mm.tolist(), strict=True), 1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": "RAS",
        "controlPoints": control_points,
    }
    schema = (
        "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/"
        "Resources/Schema/markups-schema-v1.0.3.json#"
    )
    return json.dumps({"@schema": schema, "markups": [markup]}, indent=1)


def _csv_text(header: list[str] | None, rows: Sequence[tuple[object, ...]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()

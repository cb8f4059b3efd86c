"""Points files: CSV and Slicer's .fcsv and .mrk.json, positions in mm."""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from voltween.errors import AssumptionWarning, InputError, check_is_path
from voltween.io.itk import ITK_FRAME, OWN_FRAME, to_ras
from voltween.io.slicer_points import parse_fcsv, parse_markups
from voltween.io.stored_points import StoredPoints, number
from voltween.spatial import Points
from voltween.storage import PathLike, existing_file, naming

POINT_SUFFIXES = (".csv", ".fcsv", ".mrk.json")
"""Suffixes of the points files that Voltween writes."""


def is_points_file(path: Path) -> bool:
    """Whether `read_points` reads such a file, by its suffix; also any .json."""
    return path.name.lower().endswith((*POINT_SUFFIXES, ".json"))


def read_points(path: PathLike, frame: str | None = None) -> Points:
    """Reads points from a CSV (columns x, y, z) or Slicer file (.fcsv, .mrk.json).

    A CSV states its frame, RAS or LPS, in a column `frame`, and the names of its points
    in a column `name` or `label`. The argument says the frame of a file that does not.
    Without either, a CSV is taken to be in RAS, or in LPS if it has ANTs' column `t`,
    and an `AssumptionWarning` says so. The lists of a Slicer file are joined; points
    that Slicer has not placed are left out with a `SuspiciousInputWarning`. Returns
    points in RAS+ mm.

    Raises:
        InputError: If the file is missing, has other columns, an unknown frame, or
            another one than the argument says.
    """
    check_is_path(path)
    file = existing_file(Path(path))
    with naming(file):
        lists = _parse(file)
        mm = [_in_ras(each, frame, file) for each in lists]
        names = [name for each in lists for name in each.names]
        return Points(np.concatenate(mm), tuple(names) if any(names) else ())


def _parse(path: Path) -> list[StoredPoints]:
    """Parses a points file by its suffix.

    Raises:
        InputError: If the text is not such a file.
    """
    name = path.name.lower()
    if name.endswith(".json"):
        return parse_markups(path)
    return [parse_fcsv(path) if name.endswith(".fcsv") else _parse_csv(path)]


def _in_ras(stored: StoredPoints, frame: str | None, path: Path) -> np.ndarray:
    """The positions of a list, (N, 3) in RAS+ mm."""
    mm = np.array(stored.positions_mm, dtype=np.float64).reshape(-1, 3)
    return to_ras(mm, _settled_frame(stored, frame and frame.upper(), path))


def _settled_frame(stored: StoredPoints, frame: str | None, path: Path) -> str:
    if stored.frame and frame and stored.frame != frame:
        raise InputError(
            expected=f"the frame that the file states, {stored.frame}",
            got=f"{frame} as an argument",
            advice="leave the argument out, or correct the file",
        )
    if stated := stored.frame or frame:
        return stated
    if stored.usual_frame is None:
        raise InputError(
            expected="the frame of the points, RAS or LPS",
            got="a file that does not state it",
            advice="give it: --frame of `voltween apply`, in Python frame=",
        )
    other = ITK_FRAME if stored.usual_frame == OWN_FRAME else OWN_FRAME
    warnings.warn(
        f"{path}: does not state its frame; taken to be {stored.usual_frame}, "
        f"{stored.reason}. If it is {other}, add a column `frame`",
        AssumptionWarning,
        stacklevel=4,
    )
    return stored.usual_frame


def _parse_csv(path: Path) -> StoredPoints:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = csv.reader(file)
        columns = [column.strip().lower() for column in header]
        rows = [dict(zip(columns, line, strict=True)) for line in lines if line]
    except (ValueError, csv.Error) as error:
        raise _no_csv(f"something else ({str(error)[:80]})") from error
    _check_columns(columns)
    positions = [[number(row[axis]) for axis in "xyz"] for row in rows]
    frames = sorted({row["frame"].strip().upper() for row in rows if "frame" in row})
    if len(frames) > 1:
        raise InputError(expected="one frame for all points", got=", ".join(frames))
    usual, reason = OWN_FRAME, "as this package writes points"
    if "t" in columns:
        usual, reason = ITK_FRAME, "as ANTs writes points with a column `t`"
    names = _csv_names(rows)
    return StoredPoints(positions, names, frames[0] if frames else None, usual, reason)


def _check_columns(columns: Sequence[str]) -> None:
    if missing := set("xyz") - set(columns):
        raise _no_csv(f"no column {', '.join(sorted(missing))}")
    if repeated := [name for name in columns if columns.count(name) > 1]:
        raise _no_csv(f"column {repeated[0]!r} twice")


def _csv_names(rows: Sequence[dict[str, str]]) -> list[str]:
    """The names of points; a column `label` that is the same for all names none."""
    names = [row.get("name", row.get("label", "")).strip() for row in rows]
    is_label = bool(rows) and "name" not in rows[0]
    return [] if is_label and len(rows) > 1 and len(set(names)) == 1 else names


def _no_csv(got: str) -> InputError:
    return InputError(
        expected="points as a CSV with columns x,y,z or a Slicer .fcsv or .mrk.json "
        "file",
        got=got,
    )

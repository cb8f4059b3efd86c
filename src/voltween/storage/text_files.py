"""Text files of every kind: CSV, JSON and TOML read with one error, and written whole.

A file that is cut short, too deeply nested, or holds a number that no program can read
is another kind of file, not a failure of Python.
"""

import csv
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from voltween.errors import InputError
from voltween.storage.escaping import csv_cell, csv_value
from voltween.storage.files import existing_file, whole_file

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Table:
    """A CSV: its columns, and its rows by column; a cell that a row lacks is empty."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def csv_text(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, line_ending: str = "\n"
) -> str:
    """Returns the table as CSV text, for `read_table` and for spreadsheets."""
    text = StringIO()
    writer = csv.writer(text, lineterminator=line_ending)
    writer.writerows([csv_cell(value) for value in row] for row in (header, *rows))
    return text.getvalue()


def write_if_changed(path: Path, text: str) -> bool:
    """Writes a UTF-8 file unless it has that content; returns whether it was written.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    with whole_file(path) as partial:
        partial.write_bytes(content)
    return True


def read_table(path: Path, kind: str, columns: Iterable[str] = ()) -> Table:
    """Reads a CSV that has these columns; `kind` says what it is, such as "a manifest".

    Empty lines are skipped.

    Raises:
        InputError: If the file is missing, is no CSV, lacks a column, has one twice, or
            a row has more cells than there are columns.
    """
    with existing_file(path).open(newline="", encoding="utf-8-sig") as file:
        try:
            lines = [(n, row) for n, row in _numbered(csv.reader(file)) if row]
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                about=path, expected=f"{kind} (CSV text)", got="another kind of file"
            ) from error
    header = lines[0][1] if lines else []
    _check_header(path, kind, header, [*columns])
    rows = []
    for number, line in lines[1:]:
        if any(line[len(header) :]):
            raise InputError(
                about=f"{path}, line {number}",
                expected=f"at most {len(header)} cells, one per column",
                got=len(line),
                advice="put cells that hold commas in quotes",
            )
        cells = [*map(csv_value, line), *[""] * (len(header) - len(line))]
        rows.append(dict(zip(header, cells, strict=False)))
    return Table(tuple(header), tuple(rows))


def read_columns(path: Path, first: str, second: str) -> list[tuple[str, str]]:
    """Reads two columns of a CSV; a cell that a row lacks is empty text.

    Raises:
        InputError: If the file is missing or has no such columns.
    """
    kind = f"a CSV with columns {first} and {second}"
    table = read_table(path, kind, (first, second))
    return [(row[first], row[second]) for row in table.rows]


def read_json(path: Path, kind: str) -> dict[str, Any]:
    """Reads a JSON object; `kind` says what it is, such as "a record".

    Raises:
        InputError: If the file is missing or holds no such thing.
    """
    return _parsed(path, kind, json.loads)


def read_toml(path: Path, kind: str) -> dict[str, Any]:
    """Reads a TOML file; `kind` says what it is, such as "a plan in TOML".

    Raises:
        InputError: If the file is missing or holds no such thing.
    """
    return _parsed(path, kind, tomllib.loads)


def parsed_json(text: str | bytes, kind: str) -> dict[str, Any]:
    """The JSON object in a text; `kind` says what it is.

    Raises:
        InputError: If it holds no such thing.
    """
    return _as_object(text, kind, json.loads)


def check_numbers(value: Any, name: str = "") -> None:
    """Checks that all numbers within lists and tables are such as programs work with.

    Raises:
        InputError: If one is not finite, or a whole number has more than 64 bits. The
            error is about the name, with that of the part.
    """
    if isinstance(value, Mapping):
        for key, part in value.items():
            check_numbers(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            check_numbers(part, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(about=name, expected="a finite number", got=value)
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        expected = f"a whole number from {-_LARGEST} to {_LARGEST}"
        raise InputError(about=name, expected=expected, got="one beyond that")


def _parsed(path: Path, kind: str, parse: Callable[[str], Any]) -> dict[str, Any]:
    try:
        text = existing_file(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(about=path, expected=kind, got="no text") from error
    try:
        return _as_object(text, kind, parse)
    except InputError as error:
        raise error.add_context(path) from error


def _as_object(
    text: str | bytes, kind: str, parse: Callable[[Any], Any]
) -> dict[str, Any]:
    try:
        content = parse(text)
        check_numbers(content)
    except InputError as error:
        raise error.replace(expected=f"{kind}, and {error.expected}") from error
    # ValueError: also a whole number of thousands of digits.
    except (ValueError, RecursionError) as error:
        fault = f"something else ({str(error).splitlines()[0]})"
        raise InputError(expected=kind, got=fault) from error
    if not isinstance(content, Mapping):
        raise InputError(expected=kind, got=f"a {type(content).__name__}")
    return dict(content)


def _numbered(lines: Any) -> Iterable[tuple[int, list[str]]]:
    """The rows of a CSV reader with the number of the line at which each ends."""
    for row in lines:
        yield lines.line_num, row


def _check_header(
    path: Path, kind: str, header: Sequence[str], columns: Sequence[str]
) -> None:
    if missing := [name for name in columns if name not in header]:
        raise InputError(
            about=path,
            expected=f"{kind} with columns {', '.join(columns)}",
            got=f"no {', '.join(missing)}",
        )
    if repeated := sorted({n for n in header if n and header.count(n) > 1}):
        raise InputError(
            about=path, expected="every column once", got=f"{repeated[0]} twice"
        )

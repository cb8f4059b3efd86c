"""Small text files of a cohort: CSV as text, and files replaced only if they change."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from voltween.errors import InputError
from voltween.files import existing_file, whole_file


def csv_text(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, line_ending: str = "\n"
) -> str:
    """Returns the table as CSV text."""
    text = StringIO()
    writer = csv.writer(text, lineterminator=line_ending)
    writer.writerow(header)
    writer.writerows(rows)
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


def read_columns(path: Path, first: str, second: str) -> list[tuple[str, str]]:
    """Reads two columns of a CSV; a cell that a row lacks is empty text.

    Raises:
        InputError: If the file is missing or has no such columns.
    """
    with existing_file(path).open(newline="", encoding="utf-8-sig") as file:
        try:
            table = csv.DictReader(file, restval="")
            return [(row[first], row[second]) for row in table]
        except (KeyError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                about=path,
                expected=f"a CSV with columns {first} and {second}",
                got="something else",
            ) from error

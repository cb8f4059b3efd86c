"""Small text files of a cohort: CSV as text, and files replaced only if they change."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from voltween.files import whole_file


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

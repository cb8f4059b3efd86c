"""What a command says, kept: log lines on the terminal, and the file of --log."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from voltween.errors import InputError
from voltween.escaping import terminal
from voltween.files import folder_of, unwritable
from voltween.inputs import check_is_no_input

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
_file: Path | None = None


class _PlainFormatter(logging.Formatter):
    """Log lines in which names of cases and files give the terminal no orders."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        return terminal(super().format(record))


class _FileHandler(logging.Handler):
    """Writes log lines to the file of --log, too."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record."""
        write(record.getMessage())


def show_logs() -> None:
    """Shows warnings of the log, unless someone else has set the log up."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


@contextmanager
def logging_to(path: Path | None, words: Sequence[str]) -> Iterator[None]:
    """Appends what is shown within the block to a file; does nothing without one.

    Raises:
        InputError: If the file is an input of the command, or something else than a
            log that Voltween wrote.
        OutputError: If it cannot be written.
    """
    global _file
    if path is None:
        yield
        return
    _check_is_log(path)
    handler = _FileHandler(logging.WARNING)
    logging.getLogger().addHandler(handler)
    with folder_of(path):
        _file = path
    try:
        write(" ".join(words))
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        _file = None


def is_open() -> bool:
    """Whether there is a log file."""
    return _file is not None


def write(text: str) -> None:
    """Appends lines with the time to the log file; does nothing without one.

    Raises:
        OutputError: If the file cannot be written.
    """
    if _file is None:
        return
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [f"{time} {terminal(line)}".rstrip() for line in text.splitlines()]
    try:
        with _file.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise unwritable(_file, error) from error


def _check_is_log(path: Path) -> None:
    check_is_no_input(path)
    if not path.exists():
        return
    start = ""
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(len("2000-01-01T00:00:00Z ")).decode("utf-8", "replace")
    if not path.is_file() or (start and not _STAMP.match(start)):
        raise InputError(
            about=path,
            expected="a new file, or a log that voltween wrote",
            got="something else",
            advice="give --log another file",
        )

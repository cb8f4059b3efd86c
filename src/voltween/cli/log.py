"""The words of a command: log lines on the terminal, and the file of --log."""

import logging
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from voltween.errors import InputError, OutputError, VoltweenError
from voltween.storage import check_is_no_input, folder_of, terminal, unwritable

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ")
_file: Path | None = None


class _Handler(logging.Handler):
    """Shows log lines as all others: names in them give the terminal no orders."""

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record; with --quiet only a warning, or what is worse."""
        console = sys.modules.get("voltween.cli.console")
        if record.levelno < logging.WARNING and console and console.console.quiet:
            write(self.format(record))
        else:
            say(self.format(record))


def show_logs() -> None:
    """Shows warnings of the log, unless someone else has set the log up."""
    logging.basicConfig(
        level=logging.WARNING, format="%(message)s", handlers=[_Handler()]
    )


def say(text: str) -> None:
    """Prints on the error output, above a progress bar if there is one."""
    line = terminal(text)
    if console := sys.modules.get("voltween.cli.console"):
        console.error_console.print(line)
    else:
        print(line, file=sys.stderr)


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
    with folder_of(path):
        _file = path
    try:
        write(shlex.join(words))
        yield
    except (VoltweenError, OSError, KeyboardInterrupt) as error:
        with suppress(OutputError):  # a disk that is full is told as it is
            write(f"voltween: {str(error) or 'interrupted'}")
        raise
    finally:
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

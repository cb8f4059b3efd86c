"""The letters and streams of a command: any locale, and readers that go away."""

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from voltween.cli.exit_codes import EXIT_UNREAD


def read_names_as_utf8() -> None:
    """Starts the command again in UTF-8 if the locale has another encoding.

    Python reads names of files in the encoding of the locale. In that of LC_ALL=C, the
    names in a manifest that have other letters could not be opened.
    """
    is_utf8 = sys.getfilesystemencoding() == "utf-8"
    if not is_utf8 and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def separate_error_stream() -> None:
    """Gives what Python writes to the error stream a file descriptor of its own.

    That of the system is turned away while a file is written, for the lines of
    libraries (`process.dropped_on_failure`). Our lines would be turned away as well,
    and a progress bar that finds no terminal for a moment is left behind on it.
    """
    if sys.stderr is None:
        return
    with suppress(OSError):  # no file of the system, or closed
        sys.stderr.flush()
        sys.stderr = os.fdopen(
            os.dup(sys.stderr.fileno()),
            "w",
            buffering=1,
            encoding=sys.stderr.encoding,
            errors=sys.stderr.errors,
        )


@contextmanager
def writing_to_streams() -> Iterator[None]:
    """Lets the block write any text, and ends it silently if nobody reads it.

    Letters that the locale lacks are written as their numbers.
    """
    for stream in _streams():
        with suppress(AttributeError):  # not a text file of the system
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()  # else at the end of the process, as a traceback
    except BrokenPipeError:  # such as `voltween models | head -1`
        unread = [stream for stream in _streams() if _is_unread(stream)]
        if not unread:
            raise  # that of another process
        sys.exit(EXIT_UNREAD)


def _streams() -> list[Any]:
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def _is_unread(stream: Any) -> bool:
    """Whether nobody reads a stream; what is left of its text then goes nowhere."""
    with suppress(OSError):  # not a file of the system
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        if any(
            events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)
        ):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return True
    return False

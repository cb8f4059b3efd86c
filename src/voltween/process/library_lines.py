"""The lines that libraries in C write to the error stream, past Python."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock

_ERRORS = 2  # file descriptor of the error stream
_PIECE_BYTES = 1 << 16
_one_at_a_time = Lock()


@contextmanager
def dropped_on_failure() -> Iterator[None]:
    """Drops what libraries write to the error stream if the block fails.

    The error itself then says in one line what they say in many. If all goes well,
    their lines are shown after the block. Of several threads, only one can do this at
    a time; the lines of the others are shown as they are. What Python writes is
    caught as well, unless its error stream has a descriptor of its own, as in commands.
    """
    if not _one_at_a_time.acquire(blocking=False):
        yield
        return
    try:
        stream, lines = os.dup(_ERRORS), _anonymous_file()
    except OSError:  # there is no error stream
        _one_at_a_time.release()
        yield
        return
    try:
        os.dup2(lines, _ERRORS)
        yield
        os.dup2(stream, _ERRORS)
        _show(lines)
    finally:
        os.dup2(stream, _ERRORS)
        os.close(stream)
        os.close(lines)
        _one_at_a_time.release()


def _anonymous_file() -> int:
    """Descriptor of a file without a name, in memory where that is possible."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("lines")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _show(lines: int) -> None:
    """Prints the lines as Python's own, so that they stand above a progress bar."""
    os.lseek(lines, 0, os.SEEK_SET)
    content = b"".join(iter(partial(os.read, lines, _PIECE_BYTES), b""))
    if content and sys.stderr is not None:
        sys.stderr.write(content.decode("utf-8", "backslashreplace"))
        sys.stderr.flush()

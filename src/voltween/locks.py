"""Locks that the system lets go of when their process ends, however it ends."""

import errno
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from voltween.errors import InputError, TakeoverWarning

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HOLDER = ".in-use.json"
_WAIT_SECONDS = 0.02


def lock(path: Path) -> int:
    """Locks a file, which is made if it is missing; returns its descriptor.

    The lock lasts until the descriptor is closed or the process ends.

    Raises:
        BlockingIOError: If another process holds the lock.
        OSError: If the file cannot be made, or files cannot be locked there.
    """
    if fcntl is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder before has deleted this file meanwhile


@contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Holds the lock of a file within the block; waits until it can be had.

    For steps of moments. Where files cannot be locked, there is no waiting.
    """
    descriptor = _wait_for(path)
    try:
        yield
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _wait_for(path: Path) -> int | None:
    """The descriptor of a lock; None where files cannot be locked."""
    while True:
        try:
            return lock(path)
        except BlockingIOError:
            time.sleep(_WAIT_SECONDS)
        except OSError:
            return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def alone_in(folder: Path, *, work: str) -> Iterator[None]:
    """Keeps other processes with the same work out of a folder within the block.

    A lock that a killed process left is taken over, with a warning.

    Raises:
        InputError: If another process is in the folder; it is named.
    """
    path = folder / _HOLDER
    try:
        descriptor = lock(path)
    except BlockingIOError:
        raise InputError(
            about=folder,
            expected=f"a folder without another {work}",
            got=f"one in use by {_holder(path)}",
            advice="wait for its end, or give another folder",
        ) from None
    except OSError as error:
        text = f"{folder}: cannot be locked ({error.strerror}): start no second {work}"
        warnings.warn(text, TakeoverWarning, stacklevel=3)
        yield
        return
    try:
        if path.stat().st_size:
            text = f"{folder}: left by {_holder(path)}, which has ended: continued"
            warnings.warn(text, TakeoverWarning, stacklevel=3)
        _sign(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _sign(path: Path) -> None:
    """Writes into a lock which process holds it."""
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    facts = {"host": platform.node(), "process": os.getpid(), "since": since}
    path.write_text(json.dumps(facts), encoding="utf-8")


def _holder(path: Path) -> str:
    """Describes the process that holds a lock, or held it last."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return f"process {facts['process']} of {facts['host']} since {facts['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # it is being written
        return "another process"

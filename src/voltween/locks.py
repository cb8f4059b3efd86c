"""Locks that the system lets go of when their process ends, however it ends."""

import errno
import json
import os
import platform
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voltween.errors import InputError, TakeoverWarning

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HOLDER = ".in-use.json"
_WAIT_SECONDS = 0.02
_BEAT_SECONDS = 4.0
_PATIENCE_SECONDS = 15.0  # some beats: a busy disk may delay one


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

    A lock that a killed process left is taken over, with a warning. Some shared disks
    keep the locks of every host apart: a process of another host counts as killed if
    its lock shows no sign of life for some seconds.

    Raises:
        InputError: If another process is in the folder; it is named.
    """
    path = folder / _HOLDER
    try:
        descriptor = lock(path)
    except BlockingIOError:
        raise _in_use(folder, work) from None
    except OSError as error:
        text = f"{folder}: cannot be locked ({error.strerror}): start no second {work}"
        warnings.warn(text, TakeoverWarning, stacklevel=3)
        yield
        return
    try:
        if _is_alive_elsewhere(path):
            raise _in_use(folder, work)
        if path.stat().st_size:
            text = f"{folder}: left by {_holder(path)}, which has ended: continued"
            warnings.warn(text, TakeoverWarning, stacklevel=3)
        _sign(path)
        with _beating(path):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _in_use(folder: Path, work: str) -> InputError:
    return InputError(
        about=folder,
        expected=f"a folder without another {work}",
        got=f"one in use by {_holder(folder / _HOLDER)}",
        advice="wait for its end, or give another folder",
    )


def _is_alive_elsewhere(path: Path) -> bool:
    """Whether a process of another host touches this lock, which is watched."""
    facts = _signature(path)
    if facts is None or facts["host"] == platform.node():
        return False
    before = path.stat().st_mtime_ns
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        time.sleep(_PATIENCE_SECONDS / 10)
        if path.stat().st_mtime_ns != before:
            return True
    return False


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    """Touches a lock every few seconds within the block, as a sign of life."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(_BEAT_SECONDS):
            with suppress(OSError):
                os.utime(path)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _sign(path: Path) -> None:
    """Writes into a lock which process holds it."""
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    facts = {"host": platform.node(), "process": os.getpid(), "since": since}
    path.write_text(json.dumps(facts), encoding="utf-8")


def _holder(path: Path) -> str:
    """Describes the process that holds a lock, or held it last."""
    facts = _signature(path)
    if facts is None:  # it is being written
        return "another process"
    return f"process {facts['process']} of {facts['host']} since {facts['since']}"


def _signature(path: Path) -> dict[str, Any] | None:
    """Host, process and time that a lock was signed with; None if it was not."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return {name: facts[name] for name in ("host", "process", "since")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None

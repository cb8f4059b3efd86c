"""Locks that the system lets go of when their process ends, however it ends."""

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
    import msvcrt

_HOLDER = ".in-use.json"
_LOCKED_BYTE = 1 << 30  # on Windows: beyond the text, which others may then read
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
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock_open(descriptor)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder before has deleted this file meanwhile


def _lock_open(descriptor: int) -> None:
    """Locks an open file at once.

    Raises:
        BlockingIOError: If another process holds the lock.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except PermissionError as error:  # what Windows says of a byte that is locked
        raise BlockingIOError(error.errno, error.strerror) from error


def unlock(descriptor: int, path: Path) -> None:
    """Deletes a file that `lock` has locked, and lets go of it."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:  # Windows deletes no open file
        os.close(descriptor)
        with suppress(PermissionError):  # another process has opened it meanwhile
            path.unlink(missing_ok=True)
        return
    os.close(descriptor)


@contextmanager
def waiting_for(path: Path) -> Iterator[None]:
    """Holds the lock of a file within the block; waits until it can be had.

    For steps that take moments. If files cannot be locked there, it does not wait.
    """
    descriptor = _wait_for(path)
    try:
        yield
    finally:
        if descriptor is not None:
            unlock(descriptor, path)


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
    if _is_alive_elsewhere(path):
        os.close(descriptor)
        raise _in_use(folder, work)
    try:
        if path.stat().st_size:
            text = f"{folder}: left by {_holder(path)}, which has ended: continued"
            warnings.warn(text, TakeoverWarning, stacklevel=3)
        _sign(path)
        with _beating(path):
            yield
    finally:
        unlock(descriptor, path)


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

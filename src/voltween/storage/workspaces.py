"""Hidden folders for unfinished files, which do not outlive a killed process for long.

Each is named by its host and process, and holds a file that its process keeps locked.
Whoever makes the next one in the same place deletes those whose process has ended. As
some shared disks keep the locks of every host apart, those of other hosts are deleted
after a day only. No other file is ever touched.
"""

import os
import platform
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voltween.storage.locks import lock, unlock

PREFIX = ".voltween-"
"""Beginning of the names of these folders."""
_LOCK = "lock"
_INNER = "files"  # apart from the lock: a folder of slices must hold nothing else
_OF_OTHERS_SECONDS = 24 * 3600  # longer than any file takes to be written


@contextmanager
def workspace(place: Path | None = None) -> Iterator[Path]:
    """Makes a hidden folder for unfinished files, and deletes it at the end.

    It is made in a folder, or where the system keeps temporary files; only this user
    can open it.

    Raises:
        OSError: If it cannot be made.
    """
    place = place or Path(tempfile.gettempdir())
    sweep(place)
    folder, descriptor = _make(place)
    try:
        (folder / _INNER).mkdir()
        yield folder / _INNER
    finally:
        _delete(folder, descriptor)


def sweep(place: Path) -> None:
    """Deletes the workspaces in a folder that killed processes have left."""
    try:
        names = [name for name in os.listdir(place) if name.startswith(PREFIX)]
    except OSError:  # the writer reports it
        return
    for folder in (place / name for name in names):
        with suppress(OSError):  # in use, another user's, or not to be locked
            if not _may_be_left(folder):
                continue
            _delete(folder, lock(folder / _LOCK))


def _delete(folder: Path, descriptor: int | None) -> None:
    """Deletes a workspace whose lock is held; None where there are no locks."""
    shutil.rmtree(folder, ignore_errors=True)
    if descriptor is not None:
        unlock(descriptor, folder / _LOCK)
        shutil.rmtree(folder, ignore_errors=True)  # Windows deletes no open lock


def publish(partial: Path, path: Path) -> None:
    """Moves a finished file to its place, where it outlives a power cut.

    Raises:
        OSError: If the disk is full or cannot be written to.
    """
    flush(partial)
    os.replace(partial, path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Waits until the content of a file, or the names in a folder, are on the disk.

    Raises:
        OSError: If a file cannot be written there, as on a disk that is full.
    """
    is_folder = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except OSError:
        if is_folder:  # as on Windows
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not is_folder:  # some shared disks cannot do that for folders
            raise
    finally:
        os.close(descriptor)


def _may_be_left(folder: Path) -> bool:
    """Whether a workspace may be one that a killed process has left.

    Raises:
        OSError: If it has no lock yet: its process is about to make one.
    """
    age_seconds = time.time() - (folder / _LOCK).stat().st_mtime
    is_of_this_host = folder.name.startswith(f"{PREFIX}{_host()}-")
    return is_of_this_host or age_seconds > _OF_OTHERS_SECONDS


def _host() -> str:
    return re.sub(r"[^\w.]", "_", platform.node())[:60]


def _make(place: Path) -> tuple[Path, int | None]:
    """A new workspace and the descriptor of its lock; None where there are no locks."""
    while True:
        folder = place / f"{PREFIX}{_host()}-{os.getpid()}-{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700)
        try:
            return folder, lock(folder / _LOCK)
        except (BlockingIOError, FileNotFoundError):  # swept before it was locked
            continue
        except OSError:
            with suppress(OSError):  # without the file, nobody sweeps it
                (folder / _LOCK).unlink()
            return folder, None

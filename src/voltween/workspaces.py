"""Hidden folders for unfinished files, which do not outlive a killed process for long.

Each holds a file that its process keeps locked. Whoever makes the next one in the same
place deletes those whose process has ended: no other file is ever touched.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voltween.locks import lock

PREFIX = ".voltween-"
"""Beginning of the names of these folders."""
_LOCK = "lock"
_INNER = "files"  # apart from the lock: a folder of slices must hold nothing else


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
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sweep(place: Path) -> None:
    """Deletes the workspaces in a folder that killed processes have left."""
    try:
        names = [name for name in os.listdir(place) if name.startswith(PREFIX)]
    except OSError:  # the writer reports it
        return
    for folder in (place / name for name in names):
        with suppress(OSError):  # in use, another user's, or not to be locked
            if not (folder / _LOCK).exists():  # its process is about to lock it
                continue
            descriptor = lock(folder / _LOCK)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)


def _make(place: Path) -> tuple[Path, int | None]:
    """A new workspace and the descriptor of its lock; None where there are no locks."""
    while True:
        folder = place / f"{PREFIX}{uuid.uuid4().hex}"
        folder.mkdir(mode=0o700)
        try:
            return folder, lock(folder / _LOCK)
        except (BlockingIOError, FileNotFoundError):  # swept before it was locked
            continue
        except OSError:
            with suppress(OSError):  # without the file, nobody sweeps it
                (folder / _LOCK).unlink()
            return folder, None

"""The files that a command reads, and a guard that keeps them.

A command reads its inputs within `reading`. Until then, no file of this package's
writers takes the place of one of them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from voltween.errors import InputError, check_is_path
from voltween.storage.detached import halves_of

ZARR_MARKS = ("zarr.json", ".zattrs")
"""Files by which a folder is known as a Zarr group, such as an OME-Zarr image."""
_FileId = tuple[int, int]


class _Input(NamedTuple):
    """A file that is read, and the path by which it, or its folder, was given."""

    file: Path
    given: Path
    changed_ns: int
    """Time of its last change."""

    def is_at(self, path: Path) -> bool:
        """Whether a file of its number is it, perhaps moved; it exists.

        The disk gives the number of a deleted file to a new one, which was changed
        at another time and is not where the input was.
        """
        if os.stat(path).st_mtime_ns == self.changed_ns:
            return True
        try:
            return os.path.samefile(self.file, path)
        except OSError:
            return False


_inputs: ContextVar[dict[_FileId, _Input] | None] = ContextVar("inputs", default=None)


@contextmanager
def reading(paths: Iterable[Path]) -> Iterator[None]:
    """Keeps these files, and all files of these folders, within the block.

    Writers (`whole_file`, `whole_folder`) then refuse to replace them, by whatever
    path or link. Those of an enclosing block are kept as well.
    """
    token = _inputs.set(dict(_inputs.get() or {}))
    try:
        add_inputs(paths)
        yield
    finally:
        _inputs.reset(token)


def add_inputs(paths: Iterable[Path]) -> None:
    """Keeps further files in the enclosing `reading`; does nothing without one."""
    inputs = _inputs.get()
    if inputs is None:
        return
    for path in paths:
        for file in files_of(path):
            with suppress(OSError):  # missing: its reader reports it
                changed_ns = os.stat(file).st_mtime_ns
                inputs[_file_id(file)] = _Input(file, path, changed_ns)


def check_is_no_input(path: Path) -> None:
    """Checks that a file may be written because the command does not read it.

    Raises:
        InputError: If it is one of the inputs, perhaps by another path or a link.
    """
    try:
        file_id = _file_id(path)
    except OSError:  # nothing is there
        return
    read = (_inputs.get() or {}).get(file_id)
    if read is not None and read.is_at(path):
        raise InputError(
            about=path,
            expected="an output that is not an input as well",
            got=f"the same file as the input {read.given}",
            advice="write to another place",
        )


def folder_and_series(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Splits `FOLDER#NAME`, one of the DICOM series in a folder, at its `#`.

    A path that exists, or that has no folder before a `#`, is returned as it is, with
    an empty name.
    """
    check_is_path(path)
    text = os.fspath(path)
    if "#" in text and not os.path.exists(text):
        for end, letter in enumerate(text):
            if letter == "#" and os.path.isdir(text[:end]):
                return Path(text[:end]), text[end + 1 :]
    return Path(text), ""


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder, or the folder of `FOLDER#NAME`."""
    return folder_and_series(path)[0].exists()


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder (DICOM) in the order of their names.

    The voxels beside a header belong to it (`detached`). For `FOLDER#NAME`, the files
    of the folder.
    """
    location, _ = folder_and_series(path)
    if location.is_dir():
        return sorted(file for file in location.rglob("*") if file.is_file())
    return halves_of(location)


def _file_id(path: Path) -> _FileId:
    """Device and inode of a file, which `os.path.samefile` compares."""
    status = os.stat(path)
    return status.st_dev, status.st_ino

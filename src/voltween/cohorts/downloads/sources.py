"""The files of a download, in a folder or in zips: one list, whatever they lie in."""

import hashlib
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

from voltween.errors import InputError
from voltween.files import PathLike

_PIECE_BYTES = 2**20
_PACKED = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".7z", ".rar")
_NOT_FOR_US = "__MACOSX"
_READING_ERRORS = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class SourceFile:
    """One file of a download."""

    name: str
    """Its path inside the download, parts divided by /."""
    path: Path
    """The file, or the zip that it is in."""
    member: str | None = None
    """Its name in the zip, if it is in one."""

    @property
    def shown(self) -> str:
        """Its name, after that of the zip if it is in one."""
        return self.name if self.member is None else f"{self.path.name}: {self.name}"

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes.

        Raises:
            InputError: If they cannot be read.
        """
        try:
            if self.member is None:
                with self.path.open("rb") as file:
                    yield file
            else:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as file,
                ):
                    yield file
        except _READING_ERRORS as error:
            raise InputError(f"{self.shown}: cannot be read: {error}") from error

    def copy_to(self, target: Path) -> None:
        """Lay the file at `target`; a link where that does.

        Raises:
            InputError: If it cannot be read.
        """
        if self.member is None:
            target.symlink_to(self.path.resolve())
            return
        with self.opened() as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _PIECE_BYTES)

    @cached_property
    def _digest(self) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with self.opened() as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
        return size, digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """Its name, size in bytes and SHA-256.

        Raises:
            InputError: If it cannot be read.
        """
        size, digest = self._digest
        return {"file": self.shown, "bytes": size, "sha256": digest}


@dataclass(frozen=True)
class Source:
    """All files of a download, and what could not be looked into."""

    path: Path
    files: tuple[SourceFile, ...]
    faults: tuple[str, ...]


def open_source(path: PathLike) -> Source:
    """The files of a folder, of its zips, or of one zip; hidden ones are left out.

    Raises:
        InputError: If the path is no folder and no zip.
    """
    path = Path(path)
    if path.is_dir():
        found = list(_files_below(path))
    elif path.is_file():
        found, path = [path], path.parent
    else:
        raise InputError(f"{path}: no such folder or file")
    files: list[SourceFile] = []
    faults: list[str] = []
    for file in sorted(found):
        name = file.relative_to(path).as_posix()
        if _is_hidden(name):
            continue
        if name.endswith(_PACKED):
            faults.append(f"{name}: is packed: unpack it, and take it away")
            continue
        try:
            files += _members(file, name) if _is_zip(name) else [SourceFile(name, file)]
        except InputError as error:
            faults.append(str(error))
    ordered = sorted(files, key=lambda file: natural_order(file.name))
    return Source(path, tuple(ordered), tuple(faults))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder, those behind links, too; no folder twice."""
    seen: set[Path] = set()
    for name, folders, files in os.walk(folder, followlinks=True):
        real = Path(name).resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(name) / file for file in files)


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which 2 is before 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(p.isdigit()), int(p) if p.isdigit() else 0, p) for p in parts)


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _members(path: Path, name: str) -> list[SourceFile]:
    """The files of a zip, as if they lay in its folder.

    Raises:
        InputError: If it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m.filename for m in archive.infolist() if not m.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{name}: cannot be unzipped ({error}): download it again"
        ) from error
    folder = PurePosixPath(name).parent
    return [
        SourceFile((folder / member).as_posix(), path, member)
        for member in members
        if not _is_hidden(member)
    ]


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == _NOT_FOR_US for part in parts)

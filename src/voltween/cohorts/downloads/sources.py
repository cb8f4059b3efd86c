"""The files of a download as one list, from a folder and from zips alike."""

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
from voltween.storage import PathLike, existing_file, stream_digest

_PIECE_BYTES = 2**20
_PACKED = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".7z", ".rar")
_MACOS_EXTRAS = "__MACOSX"
_READING_ERRORS = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class SourceFile:
    """One file of a download."""

    name: str
    """Path inside the download, with / between its parts."""
    path: Path
    """The file itself, or the zip that contains it."""
    member: str | None = None
    """Name inside the zip, if a zip contains it."""

    @property
    def shown(self) -> str:
        """The name for messages; starts with the zip's name if it is in a zip."""
        return self.name if self.member is None else f"{self.path.name}: {self.name}"

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Opens the file for reading bytes.

        Raises:
            InputError: If it cannot be read.
        """
        try:
            if self.member is None:
                with existing_file(self.path).open("rb") as file:
                    yield file
            else:
                with (
                    zipfile.ZipFile(self.path) as archive,
                    archive.open(self.member) as file,
                ):
                    yield file
        except _READING_ERRORS as error:
            raise InputError(
                about=self.shown, expected="a readable file", got=error
            ) from error

    def copy_to(self, target: Path) -> None:
        """Puts the file at `target`: a link, or a copy if it is in a zip.

        Raises:
            InputError: If it cannot be read.
        """
        if self.member is None:
            target.symlink_to(self.path.resolve())
            return
        with self.open() as file, target.open("wb") as copy:
            shutil.copyfileobj(file, copy, _PIECE_BYTES)

    @cached_property
    def _digest(self) -> tuple[int, str]:
        with self.open() as file:
            digest = stream_digest(file)
            return file.tell(), digest

    def facts(self) -> dict[str, Any]:
        """The name, size in bytes and SHA-256 of the file.

        Raises:
            InputError: If it cannot be read.
        """
        size, digest = self._digest
        return {"file": self.shown, "bytes": size, "sha256": digest}


@dataclass(frozen=True)
class Source:
    """All files of a download, and the faults of archives that cannot be read."""

    path: Path
    files: tuple[SourceFile, ...]
    faults: tuple[str, ...]


def open_source(path: PathLike) -> Source:
    """Lists the files of a folder, of its zips, or of one zip, without hidden ones.

    Raises:
        InputError: If the path does not exist.
    """
    path = Path(path)
    if path.is_dir():
        paths = list(_files_below(path))
    elif path.is_file():
        paths, path = [path], path.parent
    else:
        raise InputError(
            about=path, expected="a folder or a zip file", got="nothing of this name"
        )
    files: list[SourceFile] = []
    faults: list[str] = []
    for file in sorted(paths):
        name = file.relative_to(path).as_posix()
        if _is_hidden(name):
            continue
        if name.endswith(_PACKED):
            faults.append(str(_packed(name)))
            continue
        try:
            files += _members(file, name) if _is_zip(name) else [SourceFile(name, file)]
        except InputError as error:
            faults.append(str(error))
    ordered = sorted(files, key=lambda file: natural_order(file.name))
    return Source(path, tuple(ordered), tuple(faults))


def _files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, also behind links; visits every folder once."""
    visited: set[Path] = set()
    for name, folders, files in os.walk(folder, followlinks=True):
        real = Path(name).resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        yield from (Path(name) / file for file in files)


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that places 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(p.isdigit()), int(p) if p.isdigit() else 0, p) for p in parts)


def _packed(name: str) -> InputError:
    return InputError(
        about=name,
        expected="a folder or a zip file",
        got="another kind of archive",
        advice="unpack it and move the archive away",
    )


def _is_zip(name: str) -> bool:
    return name.lower().endswith(".zip")


def _members(path: Path, name: str) -> list[SourceFile]:
    """The files of a zip, named as if they were in the zip's folder.

    Raises:
        InputError: If it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m.filename for m in archive.infolist() if not m.is_dir()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(
            about=name,
            expected="a zip file",
            got=f"one that cannot be unzipped ({error})",
            advice="download it again",
        ) from error
    folder = PurePosixPath(name).parent
    return [
        SourceFile((folder / member).as_posix(), path, member)
        for member in members
        if not _is_hidden(member)
    ]


def _is_hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == _MACOS_EXTRAS for part in parts)

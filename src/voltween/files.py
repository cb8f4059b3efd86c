"""Files that appear whole or not at all, and errors that name the file."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from voltween.errors import InputError, OutputError

PathLike = str | os.PathLike[str]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to instead of `path`; it takes its place when all went well.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    partial = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        partial.touch()
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    except RuntimeError as error:  # how SimpleITK fails
        raise OutputError(f"{path}: cannot be written (is the disk full?)") from error
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """A path for what is needed for a moment only: nothing is left there."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: PathLike) -> Iterator[Path]:
    """A new folder to write to; its files move into `path` when all went well.

    Raises:
        InputError: If `path` cannot be made or written to.
    """
    folder = Path(path)
    was_there = folder.exists()
    partial = output_folder(folder) / f".{uuid.uuid4().hex}"
    try:
        partial.mkdir()
        yield partial
        files = list(partial.iterdir())
        if blocked := [f.name for f in files if (folder / f.name).is_dir()]:
            raise InputError(
                f"{folder}: cannot be written: {blocked} are folders there"
            )
        for file in files:
            os.replace(file, folder / file.name)
    except BaseException as error:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, InputError):  # name the folder the user knows
            raise InputError(str(error).replace(str(partial), str(folder))) from error
        if isinstance(error, OSError):
            raise InputError(f"{folder}: cannot be written: {error}") from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def output_folder(path: PathLike) -> Path:
    """The folder, made if it was missing, and checked to be writable.

    Raises:
        OutputError: If it cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make folder: {error.strerror}") from error
    probe = folder / f".{uuid.uuid4().hex}"
    with whole_file(probe):
        pass
    probe.unlink()
    return folder


@contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """The folder of a file to be written; folders made for it go if that fails.

    Raises:
        OutputError: If the folder cannot be made or written to.
    """
    folders = (path.parent, *path.parent.parents)
    made = [folder for folder in folders if not folder.exists()]
    try:
        output_folder(path.parent)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # others may have put something there
                folder.rmdir()
        raise


def check_free_space(path: Path, needed_bytes: int) -> None:
    """Refuse to write what does not fit on the disk.

    Raises:
        OutputError: If fewer bytes are free where the path is.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes:
        raise OutputError(
            f"{path}: cannot be written: needs {needed_bytes / 1e6:.1f} MB, "
            f"{free / 1e6:.1f} MB are free: make room or give another folder"
        )


def existing_file(path: Path) -> Path:
    """The path, if a file is there that can be read.

    Raises:
        InputError: If not.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir() or not os.access(path, os.R_OK):
        raise InputError(f"{path}: expected a readable file, got a folder or no access")
    return path


def check_suffix(path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    """Refuse to write a kind of thing under a name that says another.

    Raises:
        InputError: If the name ends in none of the suffixes.
    """
    if not path.name.endswith(suffixes):
        raise InputError(
            f"{path}: {kind} can be written as {', '.join(suffixes)}, got {path.name!r}"
        )


@contextmanager
def naming(path: PathLike) -> Iterator[None]:
    """Put the file's name before an error about its content."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


_DIGEST_LETTERS = 8


def file_name(text: str) -> str:
    """The text, or if that is no file's name, its letters and a digest of it."""
    plain = re.sub(r"[^\w.+-]", "_", text)
    if plain == text and not text.startswith("."):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LETTERS]
    return f"{plain.lstrip('.')[-60:]}-{digest}"

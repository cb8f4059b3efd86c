"""Writes files whole or not at all, and names the file in errors about it."""

import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from voltween.errors import InputError, OutputError
from voltween.process import dropped_on_failure
from voltween.storage.digests import text_digest
from voltween.storage.inputs import check_is_no_input
from voltween.storage.workspaces import publish, workspace

PathLike = str | os.PathLike[str]

_DIGEST_LETTERS = 8
_SHORTENED_LETTERS = 60
_LONGEST_BYTES = 200  # of 255, for a suffix and for the name of a file being written
_names: ContextVar[tuple[str, ...]] = ContextVar("names", default=())
_RESERVED = r"con|prn|aux|nul|com\d|lpt\d"  # devices of Windows, with any suffix


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to; replaces `path` by it if all went well.

    If it fails, the error is all that is said: lines of libraries are dropped.

    Raises:
        InputError: If the file is an input of the command (`inputs.reading`).
        OutputError: If the folder cannot be written to.
    """
    check_is_no_input(path)
    try:
        with workspace(path.parent) as folder, dropped_on_failure():
            partial = folder / path.name
            partial.touch()
            yield partial
            publish(partial, path)
    except OutputError:  # says already what is wrong
        raise
    except OSError as error:
        raise unwritable(path, error) from error
    except RuntimeError as error:  # SimpleITK's error
        raise unwritable(path, "a failed write: is the disk full?") from error


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """Yields a path for a temporary file, which is deleted at the end."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def output_folder(path: PathLike) -> Path:
    """Makes the folder if it is missing, checks that it is writable, and returns it.

    Raises:
        OutputError: If it cannot be made or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            about=folder, expected="a folder that can be made", got=error.strerror
        ) from error
    try:
        with workspace(folder) as room:
            (room / "probe").touch()
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


@contextmanager
def folder_of(path: Path) -> Iterator[None]:
    """Makes the folder of a file that is to be written; undoes that if it fails.

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
    """Checks that a file fits on the disk.

    Raises:
        OutputError: If fewer bytes than needed are free where the path is.
    """
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes:
        raise OutputError(
            about=path,
            expected=f"{needed_bytes / 1e6:.1f} MB of free space to write it",
            got=f"{free / 1e6:.1f} MB",
            advice="free some space or give another folder",
        )


def exists(path: Path) -> bool:
    """Whether there is a file or folder; also of names that none can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def existing_file(path: Path) -> Path:
    """Returns the path of a file that can be read.

    Raises:
        InputError: If there is no file, it is no regular file (a pipe or a device would
            block), or it cannot be read.
    """
    if not exists(path):
        raise InputError(about=path, expected="a file", got="none of this name")
    if path.is_dir():
        raise InputError(about=path, expected="a file", got="a folder")
    if not path.is_file():
        raise InputError(
            about=path,
            expected="a regular file",
            got="a pipe, socket or device",
            advice="write it to a file first",
        )
    if not os.access(path, os.R_OK):
        raise InputError(
            about=path, expected="a readable file", got="no permission to read it"
        )
    return path


def check_suffix(path: Path, suffixes: tuple[str, ...], kind: str) -> None:
    """Checks that a file name has a suffix of the kind of thing to be written.

    Raises:
        InputError: If the name ends in none of the suffixes.
    """
    if not path.name.endswith(suffixes):
        raise InputError(
            about=path,
            expected=f"a name for {kind} that ends in {', '.join(suffixes)}",
            got=repr(path.name),
        )


@contextmanager
def naming(path: PathLike) -> Iterator[None]:
    """Names the file in an error about its content, and in texts by `named`."""
    token = _names.set((*_names.get(), str(path)))
    try:
        yield
    except InputError as error:
        raise error.add_context(path) from error
    finally:
        _names.reset(token)


def named(text: str) -> str:
    """Returns the text of a warning, after the names that an error would have."""
    return ": ".join((*_names.get(), text))


def file_name(text: str) -> str:
    """The text as a file name, before a suffix.

    If it cannot be one on every file system, it is its last letters and a digest.
    """
    plain = re.sub(r"[^\w.+-]", "_", text)
    is_reserved = re.fullmatch(_RESERVED, text.split(".")[0], re.IGNORECASE)
    is_usable = plain == unicodedata.normalize("NFC", text) == text
    is_short = len(text.encode(errors="replace")) <= _LONGEST_BYTES
    is_visible = not text.startswith(".") and not text.endswith(".") and text
    if is_usable and is_short and is_visible and not is_reserved:
        return text
    letters = plain.lstrip(".")[-_SHORTENED_LETTERS:]
    while len(letters.encode()) > _LONGEST_BYTES // 2:
        letters = letters[1:]
    return f"{letters}-{text_digest(text)[:_DIGEST_LETTERS]}"


def unwritable(path: Path, reason: OSError | str) -> OutputError:
    """The error that a path cannot be written to, with the reason in one line."""
    text = reason if isinstance(reason, str) else reason.strerror or str(reason)
    cause = next(iter(text.splitlines()), "an error without a text")
    return OutputError(about=path, expected="a place that can be written to", got=cause)

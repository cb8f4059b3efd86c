"""SHA-256 of everything that is named or recognized by its content, in one place.

The digests of texts, files and folders are those of other tools (`sha256sum`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from voltween.errors import InputError
from voltween.storage.inputs import ZARR_MARKS, files_of, folder_and_series

_PIECE_BYTES = 1 << 20


@runtime_checkable
class _Array(Protocol):
    """A NumPy array, which this module need not import."""

    @property
    def dtype(self) -> Any: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def tobytes(self) -> bytes: ...


@runtime_checkable
class _Stream(Protocol):
    """An open file, also one in an archive."""

    def read(self, size: int, /) -> bytes: ...


def bytes_digest(pieces: Iterable[bytes]) -> str:
    """Returns the SHA-256 of pieces, read one after another."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def stream_digest(stream: _Stream) -> str:
    """Returns the SHA-256 of what can still be read of an open file."""
    return bytes_digest(_pieces_of(stream))


def text_digest(text: str) -> str:
    """Returns the SHA-256 of a text in UTF-8; file names may hold any bytes."""
    return bytes_digest([text.encode(errors="surrogatepass")])


def facts_digest(facts: Any) -> str:
    """Returns the SHA-256 of facts as JSON with sorted keys."""
    return text_digest(json.dumps(facts, sort_keys=True))


def array_digest(array: _Array) -> str:
    """Returns the SHA-256 of an array: its type, its shape and its numbers."""
    text = f"{array.dtype} {array.shape} "
    return bytes_digest([text.encode(), array.tobytes()])


def content_digest(*paths: Path) -> str:
    """Returns the SHA-256 of files and DICOM folders, read one after another.

    A header is read with the voxels beside it, and the files of a folder in the order
    of their names. Subfolders are no part of a series, unless the folder has no files
    of its own, but of a Zarr group. The name of a series counts as well.

    Raises:
        InputError: If one is missing or cannot be read, or is a pipe or device, whose
            content would be gone.
    """
    return bytes_digest(piece for path in paths for piece in _pieces(path))


def _pieces(path: Path) -> Iterator[bytes]:
    folder, series = folder_and_series(path)
    yield series.encode(errors="surrogatepass")
    files = files_of(path)
    direct = [file for file in files if file.parent == folder]
    is_zarr = any(file.name in ZARR_MARKS for file in direct)
    for file in direct if folder.is_dir() and direct and not is_zarr else files:
        if is_zarr:  # a part may be missing, and then the names tell
            yield file.relative_to(folder).as_posix().encode()
        try:
            yield from _pieces_of_file(file)
        except OSError as error:
            got = error.strerror or str(error)
            raise InputError(
                about=file, expected="a file that can be read", got=got
            ) from error


def _pieces_of_file(file: Path) -> Iterator[bytes]:
    if not file.exists():
        raise InputError(about=file, expected="a file", got="none of this name")
    if not file.is_file():
        raise InputError(about=file, expected="a readable file", got="a pipe or device")
    with file.open("rb") as content:
        yield from _pieces_of(content)


def _pieces_of(stream: _Stream) -> Iterator[bytes]:
    while piece := stream.read(_PIECE_BYTES):
        yield piece

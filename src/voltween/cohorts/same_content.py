"""Files of one content under several names, found without reading most of them."""

import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from gzip import GzipFile
from pathlib import Path

from voltween.storage import bytes_digest, content_digest, files_of

_GZIP = b"\x1f\x8b"
_TRAILER_BYTES = 8  # of a gzip: checksum and size of what is packed in it
_PIECE_BYTES = 1 << 20


def same_content(files: Iterable[Path]) -> list[list[Path]]:
    """Groups the files that have the same content; others are left out.

    A gzip counts by what is packed in it, so that a copy packed once more is found, and
    a folder (DICOM) by its files. Empty files and those that cannot be read are left
    out.
    """
    groups = [list(dict.fromkeys(files))]
    # Each key tells more files apart than the one before it, and takes longer.
    for key in (_size, _checksum, _digest):
        groups = [part for group in groups for part in _divided(group, key)]
    return groups


def _divided(
    files: Iterable[Path], key: Callable[[Path], Hashable]
) -> list[list[Path]]:
    parts: dict[Hashable, list[Path]] = defaultdict(list)
    for file in files:
        with suppress(OSError, EOFError, ValueError, zlib.error):
            if value := key(file):
                parts[value].append(file)
    return [part for part in parts.values() if len(part) > 1]


def _size(path: Path) -> int:
    """Bytes of the content, modulo 2^32; 0 for what is neither file nor folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in files_of(path)) % 2**32
    if not path.is_file():
        return 0
    _, size = _trailer(path) or (0, path.stat().st_size)
    return size % 2**32


def _checksum(path: Path) -> Hashable:
    """The CRC-32 that a gzip holds, or that of the file."""
    if path.is_dir():
        return "folder"
    if trailer := _trailer(path):
        return f"crc {trailer[0]}"
    checksum = 0
    for piece in _content(path):
        checksum = zlib.crc32(piece, checksum)
    return f"crc {checksum}"


def _digest(path: Path) -> str:
    """SHA-256 of the content, of a header with that of its voxels."""
    if path.is_dir() or len(files_of(path)) > 1:
        return content_digest(path)
    return bytes_digest(_content(path))


def _trailer(path: Path) -> tuple[int, int] | None:
    """Checksum and size at the end of a gzip; None for other files."""
    with path.open("rb") as file:
        if file.read(len(_GZIP)) != _GZIP:
            return None
        file.seek(-_TRAILER_BYTES, 2)
        end = file.read()
    return int.from_bytes(end[:4], "little"), int.from_bytes(end[4:], "little")


def _content(path: Path) -> Iterator[bytes]:
    """The bytes of a file, or of what is packed in a gzip, piece by piece."""
    with path.open("rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        source = GzipFile(fileobj=file) if is_packed else file
        while piece := source.read(_PIECE_BYTES):
            yield piece

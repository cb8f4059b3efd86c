"""Reads the bytes of voxels, decompressed here: exact length, and checksums."""

import bz2
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from isal import igzip
from isal.igzip_lib import IsalError

from voltween.errors import InputError

RAW, GZIP, ZLIB, BZIP2 = "raw", "gzip", "zlib", "bzip2"
_PIECE_BYTES = 1 << 20
# No bit of a deflate stream stands for more: 258 bytes in 2 bits.
_MOST_EXPANSION = 1032
_ZLIB_OR_GZIP_WINDOW = 47  # of zlib: either header, whose checksum is then verified
_DAMAGE = (OSError, EOFError, zlib.error, IsalError)


@dataclass(frozen=True)
class StoredVoxels:
    """The place of an image's voxels in a file."""

    path: Path
    offset: int = 0
    """Bytes before the voxels: of the decompressed file if all of it is compressed,
    else of the file."""
    compression: str = RAW
    """`RAW`, `GZIP`, `ZLIB` or `BZIP2`."""
    starts_compressed: bool = True
    """Whether the bytes before the voxels are compressed with them."""
    has_end: bool = True
    """Whether nothing but voxels follows, so that more bytes are worth a warning."""

    def check_length(self, expected_bytes: int) -> None:
        """Checks that the file can hold so many bytes, before memory is taken.

        Raises:
            InputError: If the file is too small, however well it is compressed.
        """
        stored = os.path.getsize(self.path)
        before = self.offset if self._skips_stored_bytes else 0
        possible = max(0, stored - before)
        if self.compression in (GZIP, ZLIB):
            possible *= _MOST_EXPANSION
        if self.compression != BZIP2 and expected_bytes > possible:
            raise _cut_short(expected_bytes, f"a file of {stored:,} bytes")

    def read(self, expected_bytes: int) -> tuple[np.ndarray, int]:
        """Reads the bytes of the voxels, and counts those that follow them.

        Raises:
            InputError: If there are fewer, or a checksum does not fit.
        """
        self.check_length(expected_bytes)
        voxels = np.empty(expected_bytes, np.uint8)
        skip = 0 if self._skips_stored_bytes else self.offset
        position = -skip
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset if self._skips_stored_bytes else 0)
                for piece in _pieces(file, self.compression):
                    _put(piece, voxels, position)
                    position += len(piece)
        except _DAMAGE as error:  # type: ignore[misc]  # isal's is typed as no error
            raise InputError(
                expected=f"whole {self.compression} data",
                got=f"a file that is damaged or cut short ({error})",
            ) from error
        if position < expected_bytes:
            raise _cut_short(expected_bytes, f"{max(0, position):,}")
        return voxels, position - expected_bytes

    @property
    def _skips_stored_bytes(self) -> bool:
        return self.compression == RAW or not self.starts_compressed


def _pieces(file: BufferedIOBase, compression: str) -> Iterator[bytes]:
    """The decompressed bytes from here to the end, whose checksum is verified."""
    if compression == ZLIB:
        yield from _inflated(file)
        return
    with _opened(file, compression) as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


def _opened(file: BufferedIOBase, compression: str) -> BufferedIOBase:
    if compression == GZIP:
        return igzip.open(file, "rb")
    return bz2.open(file, "rb") if compression == BZIP2 else file


def _inflated(file: BufferedIOBase) -> Iterator[bytes]:
    """The content of one zlib or gzip stream."""
    decompressor = zlib.decompressobj(_ZLIB_OR_GZIP_WINDOW)
    while not decompressor.eof:
        packed = decompressor.unconsumed_tail or file.read(_PIECE_BYTES)
        if not packed:
            raise EOFError("its end is missing")
        yield decompressor.decompress(packed, _PIECE_BYTES)


def _put(piece: bytes, voxels: np.ndarray, position: int) -> None:
    """Copies the part of a piece that lies within the voxels."""
    first, stop = max(0, position), min(len(voxels), position + len(piece))
    if first < stop:
        part = memoryview(piece)[first - position : stop - position]
        voxels[first:stop] = np.frombuffer(part, np.uint8)


def _cut_short(expected_bytes: int, got: str) -> InputError:
    return InputError(
        expected=f"{expected_bytes:,} bytes of voxels, as its header says",
        got=got,
        advice="the file is cut short or its header is damaged",
    )

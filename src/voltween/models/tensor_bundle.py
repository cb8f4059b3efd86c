"""Reads the variables of a TensorFlow checkpoint, without TensorFlow.

A checkpoint is a tensor bundle: PREFIX.index, a sorted table in the format of LevelDB
that says where each variable is, and PREFIX.data-00000-of-00001, ... with the values.

References:
    https://github.com/google/leveldb/blob/main/doc/table_format.md
    tensorflow/core/protobuf/tensor_bundle.proto
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween.errors import InputError
from voltween.storage import existing_file, naming

INDEX = ".index"

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_BYTES = 5  # of a block: kind of compression, checksum
# Kinds of numbers (types.proto). Variables of other kinds, such as text, are left out.
_DTYPES = {
    1: "f4",
    2: "f8",
    3: "i4",
    4: "u1",
    5: "i2",
    6: "i1",
    9: "i8",
    10: "?",
    19: "f2",
}
_CASTAGNOLI = 0x82F63B78


@dataclass(frozen=True)
class _Entry:
    """The place of a variable: its type and shape, and its bytes in a shard."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def read_bundle(prefix: Path) -> dict[str, np.ndarray]:
    """Opens the numeric variables of a checkpoint, by their names.

    The values are read from the disk when they are used.

    Args:
        prefix: The path of the checkpoint's files without .index.

    Raises:
        InputError: If a file is missing, damaged, cut short or compressed.
    """
    index = existing_file(prefix.with_name(prefix.name + INDEX))
    with naming(index):
        try:
            entries = dict(_table(index.read_bytes()))
            header = dict(_fields(entries.pop(b"")))
            places = {name.decode(): _entry(value) for name, value in entries.items()}
        except InputError:
            raise
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise InputError(
                expected="the index of a TensorFlow checkpoint",
                got="a file that is damaged or of another kind",
            ) from error
    shards = int(header.get(1, 1))
    order = ">" if header.get(2) else "<"
    return {
        name: _values(prefix, place, shards, order)
        for name, place in places.items()
        if place.dtype in _DTYPES
    }


def _values(prefix: Path, place: _Entry, shards: int, order: str) -> np.ndarray:
    name = f"{prefix.name}.data-{place.shard:05d}-of-{shards:05d}"
    path = existing_file(prefix.with_name(name))
    dtype = np.dtype(order + _DTYPES[place.dtype])
    expected = int(np.prod(place.shape, dtype=int)) * dtype.itemsize
    if place.size != expected or place.offset + place.size > path.stat().st_size:
        raise InputError(
            about=path,
            expected=f"all bytes that {prefix.name}{INDEX} tells",
            got="a file that is cut short or of another checkpoint",
            advice="download or copy it again",
        )
    if place.size == 0:
        return np.zeros(place.shape, dtype)
    return np.memmap(path, dtype, "r", place.offset, place.shape or (1,)).reshape(
        place.shape
    )


def _entry(message: bytes) -> _Entry:
    fields = list(_fields(message))
    numbers = {number: value for number, value in fields if isinstance(value, int)}
    shape: list[int] = []
    for number, value in fields:
        if number == 2 and isinstance(value, bytes):
            dimensions = [part for n, part in _fields(value) if n == 2]
            shape = [_dimension(part) for part in dimensions]
    return _Entry(
        dtype=numbers.get(1, 0),
        shape=tuple(shape),
        shard=numbers.get(3, 0),
        offset=numbers.get(4, 0),
        size=numbers.get(5, 0),
    )


def _dimension(message: int | bytes) -> int:
    if not isinstance(message, bytes):
        raise ValueError("a dimension must be a message")
    return int(dict(_fields(message)).get(1, 0))


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a sorted table: the entries of all blocks of its index."""
    footer = data[-_FOOTER_BYTES:]
    (magic,) = struct.unpack("<Q", footer[-8:])
    if magic != _MAGIC:
        raise ValueError("another magic number")
    _, at = _handle(footer, 0)  # the first handle is that of an index of indices
    place, _ = _handle(footer, at)
    for _, handle in _block(data, *place):
        yield from _block(data, *_handle(handle, 0)[0])


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block. A key is stored as its difference to the last one."""
    end = offset + size
    compression, checksum = struct.unpack("<BI", data[end : end + _TRAILER_BYTES])
    if _masked_checksum(data[offset : end + 1]) != checksum:
        raise ValueError("the checksum differs")
    if compression:
        raise InputError(
            expected="an index that is not compressed, as TensorFlow writes it",
            got="a compressed one",
            advice="save the variables to an .npz file with TensorFlow",
        )
    (restarts,) = struct.unpack("<I", data[end - 4 : end])
    entries_end = end - 4 - 4 * restarts
    key, at = b"", offset
    while at < entries_end:
        shared, at = _varint(data, at)
        rest, at = _varint(data, at)
        length, at = _varint(data, at)
        key = key[:shared] + data[at : at + rest]
        yield key, data[at + rest : at + rest + length]
        at += rest + length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and the position after them."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of the fields of a protocol buffer message."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, value = tag & 7, 0
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        else:
            size = {1: 8, 5: 4}[kind]
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits per byte, lowest first, and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _masked_checksum(data: bytes) -> int:
    """CRC-32C, rotated and shifted as LevelDB stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

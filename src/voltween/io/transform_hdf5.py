"""ITK's transform files of HDF5 (.h5), read and written by h5py.

ITK's own reader crashes on damaged files and follows links into other files, and its
writer stores the time: the same transform would have other bytes every time.
"""

import math
import struct
from collections.abc import Sequence
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from voltween.errors import InputError
from voltween.io.transform_records import TransformRecord

_GROUP = "TransformGroup"
_TYPE = "TransformType"
_FIXED = "TransformFixedParameters"
_PARAMETERS = "TransformParameters"
_OLD_SPELLING = {_FIXED: "TranformFixedParameters", _PARAMETERS: "TranformParameters"}
_CHUNK_NUMBERS = 2**17
_LARGEST_COMPRESSION = 1032  # of deflate
_HEAP_HEADER = 16  # bytes, of a heap as of each of its objects
_MOST_HEAP_OBJECTS = 1000
T = TypeVar("T", h5py.Group, h5py.Dataset)


def read_hdf5_records(path: Path) -> list[TransformRecord]:
    """Reads the transforms of a file; `path` is not named in errors.

    Raises:
        InputError: If the file is damaged or cut short, has parts in other files, or is
            no transform.
    """
    try:
        with h5py.File(path, "r") as file:
            _check_is_of_itk(file)
            group = _member(file, _GROUP, h5py.Group)
            return [_read_record(group, str(n), path) for n in range(len(group))]
    except (InputError, MemoryError):
        raise
    except Exception as error:  # h5py has no error of its own for damaged files
        raise InputError(
            expected="an ITK transform (.h5)",
            got="a file that is damaged or cut short",
        ) from error


def _check_is_of_itk(file: h5py.File) -> None:
    if "Format" in file.attrs:
        raise InputError(
            expected="an ITK transform (.h5)",
            got="an X5 transform",
            advice="save it as an ITK transform, by nitransforms",
        )
    if _GROUP not in file:
        raise InputError(
            expected=f"an ITK transform, which has a group {_GROUP}",
            got=f"an HDF5 file with {', '.join(list(file)[:6]) or 'nothing'}",
        )


def _member(group: h5py.Group, name: str, kind: type[T]) -> T:
    """A member of a group, checked to be stored in the same file."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise InputError(
            expected="a file that holds all of its transform",
            got=f"a link at {group.name}/{name}",
            advice="it could read other files of this computer",
        )
    member = group[name]
    if not isinstance(member, kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return member


def _read_record(group: h5py.Group, number: str, path: Path) -> TransformRecord:
    record = _member(group, number, h5py.Group)
    kind = _read_text(_member(record, _TYPE, h5py.Dataset), path)
    file_bytes = path.stat().st_size
    fixed, parameters = (
        _read_numbers(record, name, file_bytes) for name in (_FIXED, _PARAMETERS)
    )
    return TransformRecord(kind, fixed, parameters)


def _read_text(dataset: h5py.Dataset, path: Path) -> str:
    """The one text of a dataset, of fixed or of variable length.

    Raises:
        TypeError, ValueError, IndexError, struct.error: If it has none.
    """
    text = h5py.check_string_dtype(dataset.dtype)
    if text is None or dataset.size != 1 or dataset.external or dataset.is_virtual:
        raise TypeError("the kind of a transform is no text")
    if text.length is not None:
        return bytes(np.ravel(dataset[()])[0]).decode()
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return _heap_text(content, dataset.id.get_offset())


def _heap_text(content: mmap, offset: int) -> str:
    """A text of variable length, whose length and place are stored at `offset`.

    HDF5 hangs for ever on damaged heaps of such texts. A heap is a list of objects,
    each with an index and a size.
    """
    length, heap, wanted = struct.unpack_from("<IQI", content, offset)
    if content[heap : heap + 4] != b"GCOL":
        raise ValueError("no heap of texts")
    position = heap + _HEAP_HEADER
    for _ in range(_MOST_HEAP_OBJECTS):
        index, size = struct.unpack_from("<H6xQ", content, position)
        position += _HEAP_HEADER
        if index == wanted:
            return content[position : position + min(length, size)].decode()
        position += size + -size % 8
    raise ValueError("no text of this index")


def _read_numbers(record: h5py.Group, name: str, file_bytes: int) -> np.ndarray:
    """The numbers of a record; none if it has none of this name."""
    if name not in record:
        name = _OLD_SPELLING[name]
    if name not in record:
        return np.empty(0)
    dataset = _member(record, name, h5py.Dataset)
    if dataset.dtype.kind != "f" or dataset.ndim != 1:
        raise TypeError(f"{name} are no numbers")
    _check_is_stored(dataset, file_bytes)
    return np.asarray(dataset[()], dtype=np.float64)


def _check_is_stored(dataset: h5py.Dataset, file_bytes: int) -> None:
    """Checks, before memory is allocated, that the file holds all numbers.

    HDF5 reads zeros where pieces are missing.

    Raises:
        InputError: If they are in another file.
        ValueError: If some are nowhere.
    """
    if dataset.external or dataset.is_virtual:
        raise InputError(
            expected="a file that holds all of its transform",
            got=f"numbers of {dataset.name} in another file",
            advice="it could read other files of this computer",
        )
    is_filtered = dataset.id.get_create_plist().get_nfilters() > 0
    if dataset.nbytes > file_bytes * (_LARGEST_COMPRESSION if is_filtered else 1):
        raise ValueError(f"{dataset.nbytes} bytes in a file of {file_bytes}")
    if dataset.chunks:
        stored = dataset.id.get_num_chunks()
        is_whole = stored == math.ceil(dataset.size / dataset.chunks[0])
    else:
        is_whole = dataset.id.get_storage_size() == dataset.nbytes
    if dataset.size and not is_whole:
        raise ValueError(f"pieces of {dataset.name} are missing")


def write_hdf5_records(records: Sequence[TransformRecord], path: Path) -> None:
    """Writes transforms as ITK does, with checksums, and the same bytes every time.

    Raises:
        OSError: If the disk is full. HDF5 would crash; it writes to memory instead.
    """
    content = BytesIO()
    with h5py.File(content, "w") as file:
        group = file.create_group(_GROUP)
        for number, record in enumerate(records):
            member = group.create_group(str(number))
            member.create_dataset(
                _TYPE, data=[record.kind], dtype=h5py.string_dtype("ascii")
            )
            if record.parameters.size:
                _write_numbers(member, _FIXED, record.fixed)
                _write_numbers(member, _PARAMETERS, record.parameters)
    path.write_bytes(content.getbuffer())


def _write_numbers(group: h5py.Group, name: str, numbers: np.ndarray) -> None:
    if not numbers.size:
        group.create_dataset(name, data=numbers)
        return
    chunk = min(numbers.size, _CHUNK_NUMBERS)
    group.create_dataset(name, data=numbers, chunks=(chunk,), fletcher32=True)

"""ITK's transform files of HDF5 (.h5), read and written by h5py.

ITK's own reader crashes on damaged files and follows links into other files, and its
writer stores the time: the same transform would have other bytes every time.
"""

import struct
from collections.abc import Sequence
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path

import h5py
import numpy as np

from voltween.errors import InputError
from voltween.io.hdf5 import hdf5_member, hdf5_numbers, open_hdf5
from voltween.io.transform_records import TransformRecord

_GROUP = "TransformGroup"
_TYPE = "TransformType"
_FIXED = "TransformFixedParameters"
_PARAMETERS = "TransformParameters"
_OLD_SPELLING = {_FIXED: "TranformFixedParameters", _PARAMETERS: "TranformParameters"}
_CHUNK_NUMBERS = 2**17
_LEVEL = 1  # of gzip; 9 takes ten times as long for 7 % less
_HEAP_HEADER = 16  # bytes, of a heap as of each of its objects
_MOST_HEAP_OBJECTS = 1000


def read_hdf5_records(path: Path) -> list[TransformRecord]:
    """Reads the transforms of a file; `path` is not named in errors.

    Raises:
        InputError: If the file is damaged or cut short, has parts in other files, or is
            no transform.
    """
    with open_hdf5(path, "an ITK transform (.h5)") as file:
        _check_is_of_itk(file)
        group = hdf5_member(file, _GROUP, h5py.Group)
        return [_read_record(group, str(n), path) for n in range(len(group))]


def _check_is_of_itk(file: h5py.File) -> None:
    if _GROUP not in file:
        raise InputError(
            expected=f"an ITK transform, which has a group {_GROUP}",
            got=f"an HDF5 file with {', '.join(list(file)[:6]) or 'nothing'}",
        )


def _read_record(group: h5py.Group, number: str, path: Path) -> TransformRecord:
    record = hdf5_member(group, number, h5py.Group)
    kind = _read_text(hdf5_member(record, _TYPE, h5py.Dataset), path)
    fixed, parameters = (_read_numbers(record, name) for name in (_FIXED, _PARAMETERS))
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


def _read_numbers(record: h5py.Group, name: str) -> np.ndarray:
    """The numbers of a record; none if it has none of this name."""
    if name not in record:
        name = _OLD_SPELLING[name]
    if name not in record:
        return np.empty(0)
    numbers = hdf5_numbers(record, name)
    if numbers.dtype.kind != "f" or numbers.ndim != 1:
        raise TypeError(f"{name} are no numbers")
    return numbers.astype(np.float64, copy=False)


def write_hdf5_records(
    records: Sequence[TransformRecord], path: Path, *, compressed: bool = False
) -> None:
    """Writes transforms as ITK does, with checksums, and the same bytes every time.

    Compression pays for rounded numbers; others lose a sixth of their size by it.

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
                _write_numbers(
                    member, _PARAMETERS, record.parameters, compressed=compressed
                )
    path.write_bytes(content.getbuffer())


def _write_numbers(
    group: h5py.Group, name: str, numbers: np.ndarray, *, compressed: bool = False
) -> None:
    if not numbers.size:
        group.create_dataset(name, data=numbers)
        return
    chunk = min(numbers.size, _CHUNK_NUMBERS)
    filters = {"shuffle": True, "compression": "gzip", "compression_opts": _LEVEL}
    group.create_dataset(
        name,
        data=numbers,
        chunks=(chunk,),
        fletcher32=True,
        **(filters if compressed else {}),
    )

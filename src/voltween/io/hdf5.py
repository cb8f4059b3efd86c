"""Numbers of HDF5 files, read from these files alone, and only if they are whole.

HDF5 follows links into other files, which a download could use to read those of this
computer, and reads zeros where pieces are missing.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import h5py
import numpy as np

from voltween.errors import InputError

_LARGEST_COMPRESSION = 1032  # of deflate
_NUMBERS = "iuf"
T = TypeVar("T", h5py.Group, h5py.Dataset)


@contextmanager
def open_hdf5(path: Path, expected: str) -> Iterator[h5py.File]:
    """Opens a file; any error of the block says that it is not what was expected.

    Raises:
        InputError: If the file is damaged or cut short; `path` is not named.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (InputError, MemoryError):
        raise
    except Exception as error:  # h5py has no error of its own for damaged files
        raise InputError(
            expected=expected, got="a file that is damaged or cut short"
        ) from error


def hdf5_member(group: h5py.Group, name: str, kind: type[T]) -> T:
    """Returns a member of a group, checked to be stored in the same file.

    Raises:
        InputError: If it is a link.
        TypeError: If it is of another kind.
    """
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _elsewhere(f"a link at {group.name}/{name}")
    member = group[name]
    if not isinstance(member, kind):
        raise TypeError(f"{name} is no {kind.__name__}")
    return member


def hdf5_numbers(group: h5py.Group, name: str) -> np.ndarray:
    """Reads the numbers of a member of a group.

    They are known to be in the file before memory is allocated for them.

    Raises:
        InputError: If they are in another file.
        TypeError, ValueError: If they are no numbers, or some are nowhere.
    """
    dataset = hdf5_member(group, name, h5py.Dataset)
    if dataset.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name} are no numbers")
    if dataset.external or dataset.is_virtual:
        raise _elsewhere(f"numbers of {dataset.name} in another file")
    _check_is_stored(dataset)
    return np.asarray(dataset[()])


def _check_is_stored(dataset: h5py.Dataset) -> None:
    file_bytes = Path(dataset.file.filename).stat().st_size
    is_filtered = dataset.id.get_create_plist().get_nfilters() > 0
    if dataset.nbytes > file_bytes * (_LARGEST_COMPRESSION if is_filtered else 1):
        raise ValueError(f"{dataset.nbytes} bytes in a file of {file_bytes}")
    if dataset.chunks:
        sizes = zip(dataset.shape, dataset.chunks, strict=True)
        chunks = math.prod(math.ceil(size / chunk) for size, chunk in sizes)
        is_whole = dataset.id.get_num_chunks() == chunks
    else:
        is_whole = dataset.id.get_storage_size() == dataset.nbytes
    if dataset.size and not is_whole:
        raise ValueError(f"pieces of {dataset.name} are missing")


def _elsewhere(got: str) -> InputError:
    return InputError(
        expected="a file that holds all of its numbers",
        got=got,
        advice="it could read other files of this computer",
    )

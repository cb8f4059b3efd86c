"""Files that a process reads once and keeps for its next pairs: an atlas, above all."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from voltween.storage import content_digest, files_of

Value = TypeVar("Value")
Stamp = tuple[tuple[str, int, int], ...]
_DIGESTS = 256


@dataclass(frozen=True, eq=False)
class _Kept:
    """The content of a file, and the warnings about it."""

    path: Path
    stamp: Stamp
    value: Any
    warnings: tuple[Warning, ...]


_kept: dict[str, _Kept] = {}


def kept_file(role: str, path: Path, read: Callable[[Path], Value]) -> Value:
    """Reads a file, or returns its content if this process has read it last.

    One file is kept per role, such as fixed. A file that has changed since is read
    again. Warnings about it are given every time.

    Raises:
        InputError: As the function that reads it.
    """
    stamp, kept = stamp_of(path), _kept.get(role)
    if kept is None or stamp is None or (kept.path, kept.stamp) != (path, stamp):
        _kept.pop(role, None)  # before the next one needs the memory
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = read(path)
        texts = tuple(_warning(each) for each in caught)
        kept = _Kept(path, stamp or (), value, texts)
        if stamp is not None:
            _kept[role] = kept
    for warning in kept.warnings:
        warnings.warn(warning, stacklevel=2)
    return kept.value


def kept_digest(path: Path) -> str:
    """The digest of a file or DICOM folder, which is read again if it has changed.

    Raises:
        InputError: As `content_digest`.
    """
    stamp = stamp_of(path)
    return content_digest(path) if stamp is None else _digest(path, stamp)


def stamp_of(path: Path) -> Stamp | None:
    """Names, sizes and times of the files of a scan; None if one is missing."""
    try:
        stats = [(str(file), file.stat()) for file in files_of(path)]
    except OSError:
        return None
    return tuple((name, s.st_size, s.st_mtime_ns) for name, s in stats) or None


@lru_cache(_DIGESTS)
def _digest(path: Path, stamp: Stamp) -> str:
    return content_digest(path)


def _warning(caught: warnings.WarningMessage) -> Warning:
    message = caught.message
    return message if isinstance(message, Warning) else caught.category(message)

"""Names of cases and pairs: valid on every file system, and unique."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from voltween.storage import facts_digest, file_name

SCAN_SUFFIXES = (
    *(".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr"),
    *(".head", ".mif.gz", ".mif", ".mih"),
)
"""Suffixes of the names of scans; what a file is, its content tells."""
_DIGEST_LETTERS = 8


def stem(path: Path) -> str:
    """The name of a scan's file without its suffix, or that of a folder."""
    name = path.name
    for suffix in SCAN_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or name
    return name


def names_of_paths(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for every path: its stem, with as many folders before it as it takes.

    Scans are often named alike in a folder each, as `sub-01/T1.nii.gz`.
    """
    paths = list(dict.fromkeys(paths))
    names = {path: stem(path) for path in paths}
    for depth in range(1, max((len(path.parts) for path in paths), default=1)):
        counts = Counter(map(_folded, names.values()))
        shared = [path for path in paths if counts[_folded(names[path])] > 1]
        if not shared:
            break
        for path in shared:
            folders = path.parent.parts[-depth:]
            names[path] = "_".join((*folders, stem(path)))
    return names


def safe_names(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """A name of a folder for every key, such as moving and fixed case.

    Keys that would have one name, perhaps on another file system, get a digest each.
    """
    names = [file_name("_to_".join(key)) for key in keys]
    counts = Counter(map(_folded, names))
    return [
        name if counts[_folded(name)] == 1 else file_name(f"{name}-{_short(key)}")
        for name, key in zip(names, keys, strict=True)
    ]


def alphanumeric_names(names: Sequence[str]) -> dict[str, str]:
    """A label of ASCII letters and digits for every name, as BIDS wants them."""
    labels = {name: "".join(filter(_is_plain, name)) or "image" for name in names}
    counts = Counter(label.casefold() for label in labels.values())
    return {
        name: label if counts[label.casefold()] == 1 else f"{label}{_short((name,))}"
        for name, label in labels.items()
    }


def _is_plain(letter: str) -> bool:
    return letter.isascii() and letter.isalnum()


def _folded(name: str) -> str:
    """The name as seen by file systems that ignore upper and lower case."""
    return unicodedata.normalize("NFC", name).casefold()


def _short(key: tuple[str, ...]) -> str:
    return facts_digest(key)[:_DIGEST_LETTERS]

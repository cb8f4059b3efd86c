"""Records of finished work: the facts it was made from, and what its files were."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from voltween.errors import InputError
from voltween.storage.digests import content_digest
from voltween.storage.text_files import read_json

Facts = Mapping[str, Any]
"""Everything that a piece of work depends on, as JSON types: digests of its inputs,
options, versions of tools and of the format. There is at least one fact.
"""

_KIND = "a record of finished work"
_FACTS, _FILES = "facts", "content"
_SIZE, _DIGEST = "bytes", "sha256"


@dataclass(frozen=True)
class Finished:
    """A finished piece of work."""

    name: str
    folder: Path
    """The folder that the paths of the files are relative to."""
    facts: dict[str, Any]
    files: dict[str, dict[str, Any]]
    """Size in bytes and SHA-256 of every file, by its path."""
    values: dict[str, Any]
    """Further recorded values, as JSON types."""

    @property
    def paths(self) -> list[Path]:
        """The files, in the order of their paths."""
        return [self.folder / path for path in sorted(self.files)]

    def is_whole(self) -> bool:
        """Whether all files are there, in their sizes."""
        try:
            return all(
                (self.folder / path).stat().st_size == file[_SIZE]
                for path, file in self.files.items()
            )
        except OSError:
            return False

    def is_undamaged(self) -> bool:
        """Whether all files have the content that was written; reads all of it."""
        try:
            return all(
                content_digest(self.folder / path) == file[_DIGEST]
                for path, file in self.files.items()
            )
        except InputError:
            return False

    def text(self) -> str:
        """The record as `read_record` reads it."""
        return as_json({**self.values, _FACTS: self.facts, _FILES: self.files})


def unfinished_text(files: Mapping[str, Mapping[str, Any]]) -> str:
    """The record of work whose files are being replaced; it has no facts to match."""
    return as_json({_FILES: files})


def read_record(path: Path, name: str, folder: Path) -> Finished:
    """Reads a record; it has no facts if its writer ended while replacing the files.

    Raises:
        InputError: If the file is no such record.
    """
    record = read_json(path, _KIND)
    is_record = _FACTS in record or _FILES in record
    facts, files = record.pop(_FACTS, {}), record.pop(_FILES, {})
    is_record &= isinstance(facts, dict) and isinstance(files, dict)
    if not is_record or not all(map(_is_file, files.items())):
        raise InputError(about=path, expected=_KIND, got="another JSON file")
    return Finished(name, folder, facts, files, record)


def file_facts(path: Path) -> dict[str, Any]:
    """Size and digest of a file, as a record has them."""
    return {_SIZE: path.stat().st_size, _DIGEST: content_digest(path)}


def as_json(facts: Facts) -> str:
    """The facts as JSON text, in which no number is NaN."""
    return json.dumps(facts, indent=1, allow_nan=False)


def _is_file(entry: tuple[str, Any]) -> bool:
    """Whether an entry is a file within the folder, with its size and digest."""
    path, file = PurePosixPath(entry[0]), entry[1]
    return (
        not path.is_absolute()
        and ".." not in path.parts
        and isinstance(file, dict)
        and isinstance(file.get(_SIZE), int)
        and isinstance(file.get(_DIGEST), str)
    )

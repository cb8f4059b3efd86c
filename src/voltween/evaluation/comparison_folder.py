"""The folder of a finished comparison, or of a table of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts import Pair
from voltween.errors import InputError
from voltween.evaluation.records import (
    Record,
    Records,
    has_records,
    kept_report,
    kept_thumbnail,
)
from voltween.spatial import Transform
from voltween.storage import read_json

METHOD_NAMES_FILE = "methods.json"
"""File beside pairs.csv with the methods' names in records, by their names in it."""


@dataclass(frozen=True)
class ComparisonFolder:
    """A folder with pairs.csv, and where its records and transforms are.

    `voltween compare` writes everything to one folder. In an experiment, all tables
    share the records and transforms in the folder above them, and pairs.csv names the
    rows of the table.
    """

    path: Path
    kept: Path
    """Folder of the records, the transforms and an experiment's trained networks."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of methods in the records, by their names in pairs.csv, if different."""

    @classmethod
    def at(cls, path: Path) -> "ComparisonFolder":
        """The comparison, or table of an experiment, in a folder.

        Raises:
            InputError: If its file of names cannot be read.
        """
        is_table = not has_records(path) and has_records(path.parent)
        return cls(path, path.parent if is_table else path, _read_names(path))

    def record_name(self, method: str) -> str:
        """Name in the records of a method of pairs.csv."""
        return self.names.get(method, method)

    def record(self, method: str, pair: Pair) -> Record | None:
        """The record of a finished pair, with the method's name in pairs.csv."""
        stored = Records(self.kept).read(self.record_name(method), pair)
        if stored is None or stored.pair.method == method:
            return stored

        def rename(scores: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(replace(score, method=method) for score in scores)

        (score,) = rename((stored.pair,))
        return Record(score, rename(stored.structures), rename(stored.stages))

    def is_masked(self, method: str, pair: Pair) -> bool:
        """Whether the images of the pair were masked by their labels."""
        return Records(self.kept).is_masked(self.record_name(method), pair)

    def thumbnail(self, method: str, pair: Pair) -> Path:
        """Path of the small picture of a pair, which was made if it was registered."""
        return kept_thumbnail(self.kept, self.record_name(method), pair)

    def report(self, method: str, pair: Pair) -> Path:
        """Path of the report of a pair, which was written if it was asked for."""
        return kept_report(self.kept, self.record_name(method), pair)

    def transform(self, method: str, pair: Pair) -> Transform:
        """The kept transform of a pair, fixed to moving world mm.

        Raises:
            InputError: If it was not kept, or cannot be read.
        """
        path = Records(self.kept).find_transform(self.record_name(method), pair)
        if not path.exists():
            raise InputError(
                about=path,
                expected="a transform",
                got="no such file",
                advice="give `voltween compare` --keep-transforms",
            )
        return io.read_transform(path)


def _read_names(folder: Path) -> dict[str, str]:
    path = folder / METHOD_NAMES_FILE
    if not path.exists():
        return {}
    kind = "names of methods in records, by their names in pairs.csv (JSON)"
    names = read_json(path, kind)
    if not all(isinstance(name, str) for name in names.values()):
        raise InputError(about=path, expected=kind, got="something else")
    return names

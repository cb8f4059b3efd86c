"""Records of finished pairs on disk, so that an interrupted comparison can continue.

There is one JSON file per method and pair, with the scores and the facts that they
depend on. A record whose facts have changed (other weights, another version of a tool,
other files) does not count as finished.
"""

import hashlib
import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from voltween.cohorts import Pair
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.evaluation.scores import PairScore, StageScore, StructureScore
from voltween.files import file_name, naming, output_folder, whole_file
from voltween.models import dataclass_from_facts
from voltween.text_files import read_json

Facts = Mapping[str, Any]
Score = TypeVar("Score", PairScore, StructureScore, StageScore)

_FINISHED = "finished"
_KIND = "a record of a finished pair"
_DIGEST_LETTERS = 8
_SHOWN_LETTERS = 40  # of a value that is wrong
_FORMAT = 3  # raise it when measures change


@dataclass(frozen=True)
class Record:
    """The scores of one pair and one method."""

    pair: PairScore
    structures: tuple[StructureScore, ...] = ()
    stages: tuple[StageScore, ...] = ()


@dataclass(frozen=True)
class Records:
    """The records in a folder.

    A record that is damaged, or is one of another pair, is none: its pair is measured
    again. A `SuspiciousInputWarning` names a damaged one.
    """

    folder: Path

    def find(self, method: str, pair: Pair, facts: Facts) -> Record | None:
        """The record of a pair finished under the same facts; None if there is none."""
        stored = self._stored(method, pair)
        is_same = stored is not None and stored.facts == _stored_facts(facts)
        return _record(stored) if stored and is_same else None

    def read(self, method: str, pair: Pair) -> Record | None:
        """The record of a pair under any facts; None if it is not finished.

        Raises:
            InputError: If another version made it, which took other measures.
        """
        stored = self._stored(method, pair)
        if stored and stored.facts.get("format") != _FORMAT:
            raise InputError(
                about=stored.path,
                expected="measures of this version of voltween",
                got="those of another version",
                advice="repeat the comparison: kept transforms are measured again, "
                "without registering",
            )
        return _record(stored) if stored else None

    def is_masked(self, method: str, pair: Pair) -> bool:
        """Whether the images of the pair were masked by their labels."""
        stored = self._stored(method, pair)
        return bool(stored and stored.facts.get("masked"))

    def keep(self, record: Record, facts: Facts) -> None:
        """Writes a record, whole or not at all."""
        pair = record.pair
        path = self._path(pair.method, pair_name((pair.fixed, pair.moving)))
        output_folder(path.parent)
        stored = {"facts": _stored_facts(facts), **_without_nan(asdict(record))}
        with whole_file(path) as partial:
            partial.write_text(json.dumps(stored, indent=1))

    def find_transform(self, method: str, pair: Pair) -> Path:
        """Path of the transform kept with the pair's record, whichever version made it.

        Without a record, it is where this version keeps it.
        """
        stored = self._stored(method, pair)
        name = stored.path.stem if stored else pair_name(pair)
        return _transform_path(self.folder, method, name)

    def _stored(self, method: str, pair: Pair) -> "_Stored | None":
        """The content of the pair's record, if there is one."""
        for name in _pair_names(pair):
            path = self._path(method, name)
            if not path.exists():
                continue
            try:
                stored = _Stored.read(path)
            except InputError as error:
                warnings.warn(
                    f"{error}: not used", SuspiciousInputWarning, stacklevel=3
                )
                continue
            if stored.names == (method, *pair):
                return stored
        return None

    def _path(self, method: str, name: str) -> Path:
        return self.folder / _FINISHED / file_name(method) / f"{name}.json"


@dataclass(frozen=True)
class _Stored:
    """The content of a record's file, of which facts and names are checked."""

    path: Path
    facts: Facts
    names: tuple[str, str, str]
    """Method, fixed case, moving case."""
    scores: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "_Stored":
        """Reads a record's file.

        Raises:
            InputError: If it is none.
        """
        content = read_json(path, _KIND)
        facts, pair = content.get("facts"), content.get("pair")
        if not isinstance(facts, dict) or not isinstance(pair, dict):
            raise InputError(about=path, expected=_KIND, got="another JSON file")
        method, fixed, moving = (pair.get(n) for n in ("method", "fixed", "moving"))
        stored = cls(path, facts, (str(method), str(fixed), str(moving)), content)
        if facts.get("format") == _FORMAT:  # others had other measures
            _record(stored)
        return stored


def has_records(folder: Path) -> bool:
    """Whether a folder holds records of finished pairs."""
    return (folder / _FINISHED).is_dir()


def kept_transform(folder: Path, method: str, pair: Pair) -> Path:
    """Path at which the transform of a pair, fixed to moving (ITK), is kept."""
    return _transform_path(folder, method, pair_name(pair))


def kept_thumbnail(folder: Path, method: str, pair: Pair) -> Path:
    """Path at which the small picture of a registered pair is kept."""
    return folder / "thumbnails" / file_name(method) / f"{pair_name(pair)}.webp"


def _transform_path(folder: Path, method: str, name: str) -> Path:
    return folder / "transforms" / file_name(method) / f"{name}.h5"


def pair_name(pair: Pair) -> str:
    """Part of a file name for a pair (fixed, moving), which no other pair has."""
    return _pair_names(pair)[0]


def _pair_names(pair: Pair) -> list[str]:
    """The pair's part of file names, and that of earlier versions if it was another.

    Both names are joined by two hyphens. If they can be parted in two ways, a digest
    tells which one is meant.
    """
    joined = "--".join(pair)
    if len(re.findall("(?=--)", joined)) == 1:
        return [file_name(joined)]
    digest = hashlib.sha256(json.dumps(pair).encode()).hexdigest()
    return [file_name(f"{joined}-{digest[:_DIGEST_LETTERS]}"), file_name(joined)]


def _stored_facts(facts: Facts) -> dict[str, Any]:
    return {"format": _FORMAT, **facts}


def _record(stored: _Stored) -> Record:
    """The record in a file.

    Raises:
        InputError: If its scores are no scores.
    """
    scores = stored.scores
    with naming(stored.path):
        return Record(
            _row(PairScore, scores["pair"], "pair"),
            tuple(_rows(StructureScore, scores, "structures")),
            tuple(_rows(StageScore, scores, "stages")),
        )


def _rows(kind: type[Score], scores: Mapping[str, Any], key: str) -> Iterator[Score]:
    rows = scores.get(key)
    if not isinstance(rows, list):
        raise InputError(about=key, expected="a list", got=repr(rows)[:_SHOWN_LETTERS])
    for number, row in enumerate(rows):
        yield _row(kind, row, f"{key}[{number}]")


def _row(kind: type[Score], values: Any, key: str) -> Score:
    """A score from JSON, in which null stands for NaN."""
    if not isinstance(values, dict):
        raise InputError(about=key, expected="scores", got=type(values).__name__)
    names = {field.name for field in fields(kind)}
    known = {name: value for name, value in values.items() if name in names}
    if missing := names - known.keys():
        raise InputError(about=key, expected=", ".join(sorted(missing)), got="none")
    numbers = {n: math.nan if value is None else value for n, value in known.items()}
    return dataclass_from_facts(kind, numbers, key)


def _without_nan(value: Any) -> Any:
    """The value with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

"""Records of finished pairs on disk, so that an interrupted comparison can continue.

The store in the folder has one record of scores per method and pair. A record whose
facts have changed (other weights, another version of a tool, other files) does not
count as finished.
"""

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
from voltween.models import dataclass_from_facts
from voltween.storage import Facts, Finished, Store, facts_digest, file_name, naming

Score = TypeVar("Score", PairScore, StructureScore, StageScore)

_FINISHED = "finished"
_KIND = "a record of a finished pair"
_DIGEST_LETTERS = 8
_SHOWN_LETTERS = 40  # of a value that is wrong
_FORMAT = 3  # raise it when measures change
_LATER = {"structure", "threads"}  # fields that earlier records of this format lack


@dataclass(frozen=True)
class Record:
    """The scores of one pair and one method."""

    pair: PairScore
    structures: tuple[StructureScore, ...] = ()
    stages: tuple[StageScore, ...] = ()


@dataclass(frozen=True)
class Records:
    """The records in a folder.

    A record that is damaged, or belongs to another pair, does not count: the pair is
    measured again. A `SuspiciousInputWarning` names a damaged one.
    """

    folder: Path

    def find(self, method: str, pair: Pair, facts: Facts) -> Record | None:
        """The record of a pair finished under the same facts; None if there is none."""
        stored = self._stored(method, pair)
        if stored is None:
            return None
        same = self._store.find(_stored_facts(facts), name=stored.name)
        return _record(same.values) if same else None

    def read(self, method: str, pair: Pair) -> Record | None:
        """The record of a pair under any facts; None if it is not finished.

        Raises:
            InputError: If another version made it, which took other measures.
        """
        stored = self._stored(method, pair)
        if stored and stored.facts.get("format") != _FORMAT:
            raise InputError(
                about=self._store.record_path(stored.name),
                expected="measures of this version of voltween",
                got="those of another version",
                advice="repeat the comparison: kept transforms are measured again, "
                "without registering",
            )
        return _record(stored.values) if stored else None

    def is_masked(self, method: str, pair: Pair) -> bool:
        """Whether the images of the pair were masked by their labels."""
        stored = self._stored(method, pair)
        return bool(stored and stored.facts.get("masked"))

    def keep(self, record: Record, facts: Facts) -> None:
        """Writes a record, whole or not at all."""
        pair = record.pair
        name = _record_name(pair.method, pair_name((pair.fixed, pair.moving)))
        with self._store.making(_stored_facts(facts), name=name) as draft:
            draft.values.update(_without_nan(asdict(record)))

    def find_transform(self, method: str, pair: Pair) -> Path:
        """Path of the transform kept with the pair's record, whichever version made it.

        Without a record, it is where this version keeps it.
        """
        stored = self._stored(method, pair)
        name = stored.name if stored else _record_name(method, pair_name(pair))
        return _transform_path(self.folder, name)

    @property
    def _store(self) -> Store:
        return Store(self.folder, records=_FINISHED)

    def _stored(self, method: str, pair: Pair) -> Finished | None:
        """The content of the pair's record, if there is one."""
        for part in _pair_names(pair):
            name = _record_name(method, part)
            stored = self._store.read(name)
            if stored is None:
                continue
            try:
                with naming(self._store.record_path(name)):
                    names = _checked_names(stored)
            except InputError as error:
                text = f"{error}: not used"
                warnings.warn(text, SuspiciousInputWarning, stacklevel=3)
                continue
            if names == (method, *pair):
                return stored
        return None


def has_records(folder: Path) -> bool:
    """Whether a folder holds records of finished pairs."""
    return (folder / _FINISHED).is_dir()


def kept_transform(folder: Path, method: str, pair: Pair) -> Path:
    """Path at which the transform of a pair, fixed to moving (ITK), is kept."""
    return _transform_path(folder, _record_name(method, pair_name(pair)))


def kept_thumbnail(folder: Path, method: str, pair: Pair) -> Path:
    """Path at which the small picture of a registered pair is kept."""
    return folder / "thumbnails" / f"{_record_name(method, pair_name(pair))}.webp"


def kept_report(folder: Path, method: str, pair: Pair) -> Path:
    """Path at which the report of a registered pair is kept."""
    return folder / "reports" / f"{_record_name(method, pair_name(pair))}.html"


def _transform_path(folder: Path, name: str) -> Path:
    return folder / "transforms" / f"{name}.h5"


def _record_name(method: str, pair: str) -> str:
    """The name of a record of a method and a pair, which has a name itself."""
    return f"{file_name(method)}/{pair}"


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
    digest = facts_digest(pair)[:_DIGEST_LETTERS]
    return [file_name(f"{joined}-{digest}"), file_name(joined)]


def _stored_facts(facts: Facts) -> dict[str, Any]:
    return {"format": _FORMAT, **facts}


def _checked_names(stored: Finished) -> tuple[str, str, str]:
    """Method, fixed case and moving case of a record whose scores are checked.

    Raises:
        InputError: If its scores are no scores.
    """
    pair = stored.values.get("pair")
    if not isinstance(pair, dict):
        raise InputError(expected=_KIND, got="another JSON file")
    if stored.facts.get("format") == _FORMAT:  # others had other measures
        _record(stored.values)
    method, fixed, moving = (str(pair.get(n)) for n in ("method", "fixed", "moving"))
    return method, fixed, moving


def _record(scores: Mapping[str, Any]) -> Record:
    """The record in a file.

    Raises:
        InputError: If its scores are no scores.
    """
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
    if missing := names - known.keys() - _LATER:
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

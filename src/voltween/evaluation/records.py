"""Records of finished pairs on disk, so that an interrupted comparison can continue.

There is one JSON file per method and pair, with the scores and the facts that they
depend on. A record whose facts have changed (other weights, another version of a tool,
other files) does not count as finished.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from voltween.errors import InputError
from voltween.evaluation.scores import PairScore, StageScore, StructureScore
from voltween.files import file_name, output_folder, whole_file

Facts = Mapping[str, Any]
Score = TypeVar("Score", PairScore, StructureScore, StageScore)

_FINISHED = "finished"
_FORMAT = 2  # raise it when measures change


@dataclass(frozen=True)
class Record:
    """The scores of one pair and one method."""

    pair: PairScore
    structures: tuple[StructureScore, ...] = ()
    stages: tuple[StageScore, ...] = ()


@dataclass(frozen=True)
class Records:
    """The records in a folder."""

    folder: Path

    def find(self, method: str, pair: tuple[str, str], facts: Facts) -> Record | None:
        """The record of a pair finished under the same facts; None if there is none."""
        stored = self._stored(method, pair)
        return _record(stored) if stored.get("facts") == _stored_facts(facts) else None

    def read(self, method: str, pair: tuple[str, str]) -> Record | None:
        """The record of a pair under any facts; None if it is not finished.

        Raises:
            InputError: If another version made it, which took other measures.
        """
        stored = self._stored(method, pair)
        if stored and stored["facts"]["format"] != _FORMAT:
            raise InputError(
                about=self._path(method, pair),
                expected="measures of this version of voltween",
                got="those of another version",
                advice="repeat the comparison: kept transforms are measured again, "
                "without registering",
            )
        return _record(stored) if stored else None

    def is_masked(self, method: str, pair: tuple[str, str]) -> bool:
        """Whether the images of the pair were masked by their labels."""
        return bool(self._stored(method, pair).get("facts", {}).get("masked"))

    def keep(self, record: Record, facts: Facts) -> None:
        """Writes a record, whole or not at all."""
        pair = record.pair
        path = self._path(pair.method, (pair.fixed, pair.moving))
        output_folder(path.parent)
        stored = {"facts": _stored_facts(facts), **_without_nan(asdict(record))}
        with whole_file(path) as partial:
            partial.write_text(json.dumps(stored, indent=1))

    def _stored(self, method: str, pair: tuple[str, str]) -> dict[str, Any]:
        try:
            return json.loads(self._path(method, pair).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # missing, or truncated by another program
            return {}

    def _path(self, method: str, pair: tuple[str, str]) -> Path:
        return self.folder / _FINISHED / file_name(method) / f"{pair_name(pair)}.json"


def has_records(folder: Path) -> bool:
    """Whether a folder holds records of finished pairs."""
    return (folder / _FINISHED).is_dir()


def kept_transform(folder: Path, method: str, pair: tuple[str, str]) -> Path:
    """Path of the kept transform of a pair, fixed to moving (ITK)."""
    name = f"{pair_name(pair)}.h5"
    return folder / "transforms" / file_name(method) / name


def pair_name(pair: tuple[str, str]) -> str:
    """Part of a file name for a pair (fixed, moving)."""
    return file_name("--".join(pair))


def _stored_facts(facts: Facts) -> dict[str, Any]:
    return {"format": _FORMAT, **facts}


def _record(stored: dict[str, Any]) -> Record:
    return Record(
        _row(PairScore, stored["pair"]),
        tuple(_row(StructureScore, row) for row in stored["structures"]),
        tuple(_row(StageScore, row) for row in stored["stages"]),
    )


def _row(kind: type[Score], values: dict[str, Any]) -> Score:
    """A score from JSON, in which null stands for NaN."""
    names = [field.name for field in fields(kind)]
    numbers: dict[str, Any] = {
        k: math.nan if values[k] is None else values[k] for k in names
    }
    return kind(**numbers)


def _without_nan(value: Any) -> Any:
    """The value with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

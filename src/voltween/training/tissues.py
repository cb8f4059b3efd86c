"""Tissues and structures of the labels of a cohort, from a table or one per label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Integer

from voltween.errors import InputError
from voltween.storage import read_table

_LABEL = "label"
_CLASS = "tissue_class"
_STRUCTURE = "evaluation_label"
_COHORT = "cohort"
_SHOWN = 10  # labels in one line


@dataclass(frozen=True)
class Tissues:
    """The tissue class and the structure of every label."""

    rows: Mapping[tuple[str, int], tuple[int, int]] | None = None
    """Class and structure by cohort and label; the cohort is empty if a row is for all
    of them. If not given, every label is its own class and structure."""
    source: Path | None = None

    def of(
        self, cohort: str, labels: Integer[np.ndarray, " n"]
    ) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Classes and structures of labels; structure 0 does not count as one.

        Raises:
            InputError: If the table lacks a label other than 0.
        """
        if self.rows is None:
            return labels.astype(np.int64), labels.astype(np.int64)
        pairs = [self._row(cohort, int(label)) for label in labels]
        missing = [
            n for n, pair in zip(labels.tolist(), pairs, strict=True) if not pair
        ]
        if missing:
            more = (
                "" if len(missing) <= _SHOWN else f" and {len(missing) - _SHOWN} more"
            )
            raise InputError(
                about=self.source,
                expected="a row for every label of the maps"
                + (f" of cohort {cohort}" if cohort else ""),
                got=f"none for {', '.join(map(str, missing[:_SHOWN]))}{more}",
            )
        classes, structures = zip(*(pair for pair in pairs if pair), strict=True)
        return np.array(classes, np.int64), np.array(structures, np.int64)

    def _row(self, cohort: str, label: int) -> tuple[int, int] | None:
        assert self.rows is not None
        row = self.rows.get((cohort, label)) or self.rows.get(("", label))
        return row or ((0, 0) if label == 0 else None)


def read_tissues(path: Path | None) -> Tissues:
    """Reads the table of `Synthesis.tissues`; without a path, that of one per label.

    Raises:
        InputError: If there is no such table, it lacks a column, a cell is no whole
            number, or a label is listed twice.
    """
    if path is None:
        return Tissues()
    table = read_table(path, "a table of tissues", (_LABEL, _CLASS, _STRUCTURE))
    rows: dict[tuple[str, int], tuple[int, int]] = {}
    for number, row in enumerate(table.rows, 1):
        label, tissue, structure = _numbers(row, path, number)
        key = row.get(_COHORT, ""), label
        if key in rows:
            raise InputError(
                about=f"{path}, row {number}",
                expected="every label once",
                got=f"label {label} again",
            )
        rows[key] = tissue, structure
    return Tissues(rows, path)


def _numbers(row: Mapping[str, str], path: Path, number: int) -> Sequence[int]:
    """The whole numbers of a row: label, class, structure."""
    try:
        return [int(row[name]) for name in (_LABEL, _CLASS, _STRUCTURE)]
    except ValueError as error:
        raise InputError(
            about=f"{path}, row {number}",
            expected=f"whole numbers as {_LABEL}, {_CLASS} and {_STRUCTURE}",
            got=", ".join(repr(row[name]) for name in (_LABEL, _CLASS, _STRUCTURE)),
        ) from error

"""Edits of a prepared manifest by hand, which another preparation must not undo."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from voltween.cohorts.cohort_folder import MANIFEST, WRITTEN
from voltween.errors import InputError
from voltween.storage import read_table

_SHOWN = 5  # edits in one line

Rows = Mapping[str, Mapping[str, str]]
"""The rows of a manifest by case."""


def check_edits(folder: Path, planned: Mapping[str, str]) -> None:
    """Checks that the manifest has no edits that a preparation would undo.

    The manifest is compared with the copy that the last run kept. `planned` are the
    splits of the cases that this run prepares.

    Raises:
        InputError: If there are such edits; it says how to keep them.
    """
    path = folder / MANIFEST
    if not path.exists():
        return
    now = _rows(path)
    if (folder / WRITTEN).exists():
        before: Rows = _rows(folder / WRITTEN)
    else:  # prepared by an earlier version
        before = {n: {**now.get(n, {}), "split": split} for n, split in planned.items()}
    if edits := list(_edits(now, before, planned)):
        more = f" and {len(edits) - _SHOWN} more" if len(edits) > _SHOWN else ""
        raise InputError(
            about=path,
            expected="no edits by hand that this run would undo",
            got="; ".join(edits[:_SHOWN]) + more,
            advice="give them as --only, --without or --splits (which reads this "
            "file as it is), or move the file away",
        )


def _edits(now: Rows, before: Rows, planned: Mapping[str, str]) -> Iterator[str]:
    """The edits that the planned manifest lacks, each as a few words."""
    for name in before:
        if name not in now and name in planned:
            yield f"{name} is left out"
    for name, row in now.items():
        if name not in before:
            yield f"{name} is added"
            continue
        for column in _changed_columns(row, before[name]):
            if column != "split":
                yield f"{name} has another {column}"
            elif planned.get(name, row[column]) != row[column]:
                yield f"{name} is {row[column]}"


def _changed_columns(row: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    return [name for name, value in row.items() if value != before.get(name, "")]


def _rows(path: Path) -> Rows:
    try:
        table = read_table(path, "the manifest of an earlier preparation", ["case"])
    except InputError as error:
        raise error.replace(advice="move it away") from error
    return {row["case"]: {"split": "", **row} for row in table.rows}

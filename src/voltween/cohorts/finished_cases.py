"""Finished cases on disk, so that an interrupted preparation can continue.

The store in the cohort's folder has one record per case: what it was made from, its
files, and its log. A case counts as unfinished if its source or recipe has changed or
its files are missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts.case_preparation import PreparedCase
from voltween.storage import Finished, Store, file_name

_FOLDER = "finished"


@dataclass(frozen=True)
class FinishedCase:
    """The record of a finished case: its origin, files, log and date."""

    facts: dict[str, Any]
    """Everything that determines the result: sources, recipe, reference."""
    files: dict[str, str]
    """Paths of image, labels and points, relative to the cohort's folder."""
    log: dict[str, str]
    made: str
    voltween: str


def find_finished(
    folder: Path, name: str, facts: Mapping[str, Any]
) -> FinishedCase | None:
    """The case if it was finished from the same facts and its files are unchanged."""
    finished = _store(folder).find(facts, name=file_name(name))
    if finished is None or not _is_sound(finished):
        return None
    values = finished.values
    return FinishedCase(
        finished.facts,
        values["files"],
        values["log"],
        values["made"],
        values["voltween"],
    )


def write_finished(
    case: PreparedCase, folder: Path, *, name: str, facts: dict[str, Any]
) -> FinishedCase:
    """Writes the case's files and then its record, which is returned.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    all_parts = {"image": case.image, "labels": case.labels, "points": case.points}
    parts = {role: part for role, part in all_parts.items() if part is not None}
    files = {role: _path(role, name) for role in parts}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    finished = FinishedCase(facts, files, case.log, now, version("voltween"))
    with _store(folder).making(facts, name=file_name(name)) as draft:
        for role, part in parts.items():
            io.write(part, draft.path(files[role]))
        draft.values.update(
            files=files, log=case.log, made=now, voltween=finished.voltween
        )
    return finished


def _store(folder: Path) -> Store:
    return Store(folder, records=_FOLDER)


def _path(role: str, name: str) -> str:
    """The path of a case's image, labels or points within the cohort's folder."""
    suffix = ".csv" if role == "points" else ".nii.gz"
    folder = "images" if role == "image" else role
    return f"{folder}/{file_name(name)}{suffix}"


def _is_sound(finished: Finished) -> bool:
    """Whether a record has what a case needs, and files that are there."""
    values = finished.values
    files, log = values.get("files"), values.get("log")
    if not isinstance(files, dict) or not isinstance(log, dict):
        return False
    texts = (*files.values(), *log.values(), values.get("made"), values.get("voltween"))
    return (
        "image" in files
        and isinstance(finished.facts.get("sources"), list)
        and all(isinstance(text, str) for text in texts)
        # The records of earlier versions have no sizes of files that the store checks.
        and all((finished.folder / path).is_file() for path in files.values())
    )

"""PreparedCohort cases on disk, so that a preparation that was stopped can go on.

A JSON file a case says what it was made from and what was written. A case whose source
or recipe has changed since, or whose files are gone, does not count as finished.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts.case_preparation import PreparedCase
from voltween.files import file_name, output_folder, whole_file

_FOLDER = "finished"


@dataclass(frozen=True)
class FinishedCase:
    """What was made of a case, of what, and when."""

    facts: dict[str, Any]
    """What decided it: sources, recipe, reference."""
    files: dict[str, str]
    """Of the image, labels and points: paths from the cohort's folder."""
    sizes: dict[str, int]
    """Their bytes."""
    log: dict[str, str]
    made: str
    voltween: str


def find_finished(
    folder: Path, name: str, facts: Mapping[str, Any]
) -> FinishedCase | None:
    """The case as it was finished from the same facts, if its files are still there."""
    try:
        case = FinishedCase(**json.loads(_path(folder, name).read_text()))
    except (OSError, ValueError, TypeError):  # not there, or cut short by others
        return None
    files = {role: folder / path for role, path in case.files.items()}
    if case.facts != json.loads(json.dumps(facts)):
        return None
    there = {role: file.stat().st_size for role, file in files.items() if file.exists()}
    return case if there == case.sizes else None


def keep_finished(
    case: PreparedCase, folder: Path, *, name: str, facts: dict[str, Any]
) -> FinishedCase:
    """Write the case's files, and then the record of it.

    Raises:
        InputError: If the folder cannot be written to.
    """
    parts = {"image": case.image, "labels": case.labels, "points": case.points}
    files, sizes = {}, {}
    for role, part in parts.items():
        if part is None:
            continue
        suffix = ".csv" if role == "points" else ".nii.gz"
        subfolder = "images" if role == "image" else role
        files[role] = f"{subfolder}/{file_name(name)}{suffix}"
        path = output_folder(folder / subfolder) / f"{file_name(name)}{suffix}"
        io.write(part, path)
        sizes[role] = path.stat().st_size
    now = datetime.now(UTC).isoformat(timespec="seconds")
    finished = FinishedCase(facts, files, sizes, case.log, now, version("voltween"))
    output_folder(folder / _FOLDER)
    with whole_file(_path(folder, name)) as partial:
        partial.write_text(json.dumps(asdict(finished), indent=1))
    return finished


def _path(folder: Path, name: str) -> Path:
    return folder / _FOLDER / f"{file_name(name)}.json"

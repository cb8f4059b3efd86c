"""Finished cases on disk, so that an interrupted preparation can continue.

One JSON file per case records what it was made from and which files were written. A
case counts as unfinished if its source or recipe has changed or its files are missing.
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
    """The record of a finished case: its origin, files, log and date."""

    facts: dict[str, Any]
    """Everything that determines the result: sources, recipe, reference."""
    files: dict[str, str]
    """Paths of image, labels and points, relative to the cohort's folder."""
    sizes: dict[str, int]
    """Sizes of these files in bytes."""
    log: dict[str, str]
    made: str
    voltween: str


def find_finished(
    folder: Path, name: str, facts: Mapping[str, Any]
) -> FinishedCase | None:
    """The case if it was finished from the same facts and its files are unchanged."""
    try:
        case = FinishedCase(
            **json.loads(_path(folder, name).read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, TypeError):  # missing, or damaged by something else
        return None
    files = {role: folder / path for role, path in case.files.items()}
    if case.facts != json.loads(json.dumps(facts)):
        return None
    sizes = {role: f.stat().st_size for role, f in files.items() if f.exists()}
    return case if sizes == case.sizes else None


def write_finished(
    case: PreparedCase, folder: Path, *, name: str, facts: dict[str, Any]
) -> FinishedCase:
    """Writes the case's files and then its record, which is returned.

    Raises:
        OutputError: If the folder cannot be written to.
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

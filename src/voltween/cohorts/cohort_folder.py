"""Files that describe a prepared cohort: manifest, log, pairs and provenance."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.finished_cases import FinishedCase
from voltween.cohorts.manifest import write_manifest
from voltween.cohorts.manifest_row import Case
from voltween.cohorts.pairs import Pair
from voltween.storage import csv_text, write_if_changed

MANIFEST = "cases.csv"
WRITTEN = f"finished/{MANIFEST}"
"""Copy of the manifest as it was last written, to notice edits by hand."""


def write_tables(
    finished: Mapping[str, FinishedCase],
    out: Path,
    *,
    splits: Mapping[str, str],
    pairs: Sequence[Pair],
    persons: Mapping[str, str],
    cohort: str,
) -> bool:
    """Writes the manifest, the log, and the pairs that the download defines.

    `splits` and `persons` are by case. Returns whether the manifest changed.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    cases = [
        replace(
            _case(name, case, out, splits[name]), subject=persons[name], cohort=cohort
        )
        for name, case in finished.items()
    ]
    is_new = write_manifest(cases, out / MANIFEST)
    write_if_changed(out / WRITTEN, (out / MANIFEST).read_bytes().decode())
    columns = list(next(iter(finished.values())).log)
    log = [
        [name, *(case.log[column] for column in columns)]
        for name, case in finished.items()
    ]
    write_if_changed(out / "log.csv", csv_text(["case", *columns], log))
    if pairs:
        write_if_changed(out / "pairs.csv", csv_text(["fixed", "moving"], pairs))
    return is_new


def write_provenance(
    finished: Mapping[str, FinishedCase],
    out: Path,
    *,
    download: Download,
    source: Path,
    faults: Sequence[str],
) -> None:
    """Writes the sources, date and package version of every case.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    cases = {
        name: {
            "made": case.made,
            "voltween": case.voltween,
            "sources": case.facts["sources"],
            "files": case.files,
        }
        for name, case in finished.items()
    }
    facts = {
        "recipe": download.name,
        "cohort": download.title,
        "download": download.origin,
        "source": source.name,
        "cases": cases,
        "not_prepared": list(faults),
    }
    write_if_changed(out / "provenance.json", json.dumps(facts, indent=1))


def _case(name: str, case: FinishedCase, out: Path, split: str) -> Case:
    labels, points = (
        out / case.files[role] if role in case.files else None
        for role in ("labels", "points")
    )
    return Case(name, out / case.files["image"], labels, points, split)

"""What is said of a prepared cohort beside its scans: manifest, log, provenance."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from voltween.cohorts.downloads.download import Download
from voltween.cohorts.finished_cases import FinishedCase
from voltween.cohorts.pairs import Pair
from voltween.files import whole_file

MANIFEST = "cases.csv"
_ROLES = ("image", "labels", "points")


def write_tables(
    finished: Mapping[str, FinishedCase],
    out: Path,
    *,
    splits: Mapping[str, str],
    pairs: Sequence[Pair],
) -> bool:
    """Write the manifest, the log, and the pairs that the download asks for.

    Returns whether the manifest says something new.

    Raises:
        InputError: If the folder cannot be written to.
    """
    rows = [
        [name, *(case.files.get(role, "") for role in _ROLES), splits[name]]
        for name, case in finished.items()
    ]
    is_new = _write(out / MANIFEST, _csv_text(["case", *_ROLES, "split"], rows))
    columns = list(next(iter(finished.values())).log)
    log = [
        [name, *(case.log[column] for column in columns)]
        for name, case in finished.items()
    ]
    _write(out / "log.csv", _csv_text(["case", *columns], log))
    if pairs:
        _write(out / "pairs.csv", _csv_text(["fixed", "moving"], pairs))
    return is_new


def write_provenance(
    finished: Mapping[str, FinishedCase],
    out: Path,
    *,
    cohort: Download,
    source: Path,
    faults: Sequence[str],
) -> None:
    """Write what every case was made from, when, and by which version.

    Raises:
        InputError: If the folder cannot be written to.
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
        "recipe": cohort.name,
        "cohort": cohort.title,
        "download": cohort.origin,
        "source": source.name,
        "cases": cases,
        "not_prepared": list(faults),
    }
    _write(out / "provenance.json", json.dumps(facts, indent=1))


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _write(path: Path, text: str) -> bool:
    """Write a text file, if it does not say that already; whether it was written."""
    if path.exists() and path.read_text() == text:
        return False
    with whole_file(path) as partial:
        partial.write_text(text)
    return True

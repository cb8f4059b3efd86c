"""A download made into a manifest: scans made alike, and what was done on record."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts.case_preparation import HOUNSFIELD, PreparedCase, prepare_case
from voltween.cohorts.cohort_folder import MANIFEST, write_provenance, write_tables
from voltween.cohorts.contact_sheet import Shown, page_names, write_contact_sheets
from voltween.cohorts.downloads.download import Contents, Download, SourceCase
from voltween.cohorts.downloads.sources import SourceFile, open_source
from voltween.cohorts.finished_cases import FinishedCase, find_finished, keep_finished
from voltween.errors import InputError
from voltween.preprocessing import hounsfield_offset
from voltween.spatial import Image

_FORMAT = 1  # to be raised when cases are prepared in another way
_FEWEST_VAL = 2  # persons, for a pair
_FAULTS_SHOWN = 3  # in one line


@dataclass(frozen=True)
class PreparationOptions:
    """What the user decides.

    Raises:
        InputError: If the share is none.
    """

    val_share: float = 0.1
    """Share of the persons of `train` cases to choose a model on, at least two; 0 for
    none. Persons are drawn by their names: always the same."""
    reference: Path | None = None
    """CT whose histogram all are matched to, as it is: an image of a cohort that is
    prepared already. If not given, the first case. MR takes none."""

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise InputError(
                f"val_share must be from 0 to below 1, got {self.val_share}"
            )


@dataclass(frozen=True)
class PreparedCohort:
    """What came of a download."""

    manifest: Path
    splits: dict[str, str]
    """Of every case that is ready."""
    made: tuple[str, ...]
    """Cases that were not ready before."""
    faults: tuple[str, ...]
    """What is wrong with the others."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """The CT that others are matched to."""

    image: Image
    facts: dict[str, Any]


def prepare(
    cohort: Download,
    source: Path,
    *,
    out: Path,
    choices: PreparationOptions = PreparationOptions(),
    on_case: Callable[[str], None] = lambda text: None,
) -> PreparedCohort:
    """The manifest, images, labels and points of a download, and the record of it.

    A case that cannot be prepared is a fault; the others are prepared all the same.
    Finished cases whose source and recipe are as they were are left alone.

    Raises:
        InputError: If there is no case that can be prepared, or `out` cannot be written
            to.
    """
    reference = _given(cohort, choices.reference)
    found = cohort.find(open_source(source))
    if not found.cases:
        raise InputError(_nothing(cohort, source, found.faults))
    finished, made, faults = _all_cases(
        found, cohort, out=out, reference=reference, on_case=on_case
    )
    faults = [*found.faults, *faults]
    if not finished:
        raise InputError(_nothing(cohort, source, faults))
    cases = [case for case in found.cases if case.name in finished]
    splits = assign_splits(cases, cohort.split, choices.val_share)
    pairs = [pair for pair in found.pairs if set(pair) <= set(finished)]
    is_new = write_tables(finished, out, splits=splits, pairs=pairs)
    write_provenance(finished, out, cohort=cohort, source=source, faults=faults)
    pages = [out / name for name in page_names(len(finished))]
    if made or is_new or not all(page.exists() for page in pages):
        write_contact_sheets([_shown(n, c, out) for n, c in finished.items()], out)
    return PreparedCohort(out / MANIFEST, splits, tuple(made), tuple(faults))


def assign_splits(
    cases: Sequence[SourceCase], default: str, val_share: float
) -> dict[str, str]:
    """Split of every case: what the download says, else the default, some drawn as val.

    Drawn are persons, by a digest of their names. None are if the download has `val`.
    """
    splits = {case.name: case.split or default for case in cases}
    if "val" in splits.values():
        return splits
    train = {case.person for case in cases if splits[case.name] == "train"}
    drawn = sorted(train, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = max(round(val_share * len(train)), _FEWEST_VAL) if val_share else 0
    if len(train) < 2 * _FEWEST_VAL:  # too few to part them
        count = 0
    val = set(drawn[:count])
    return splits | {
        case.name: "val"
        for case in cases
        if splits[case.name] == "train" and case.person in val
    }


def _all_cases(
    found: Contents,
    cohort: Download,
    *,
    out: Path,
    reference: _Reference | None,
    on_case: Callable[[str], None],
) -> tuple[dict[str, FinishedCase], list[str], list[str]]:
    """Finished cases by name, the names of those not finished before, and faults."""
    finished: dict[str, FinishedCase] = {}
    made: list[str] = []
    faults: list[str] = []
    for number, case in enumerate(found.cases, 1):
        on_case(f"{case.name} ({number} of {len(found.cases)})")
        image = reference.image if reference else None
        try:
            facts = _facts(case, cohort, reference)
            ready = find_finished(out, case.name, facts)
            content = ready or prepare_case(case.load(), cohort, reference=image)
        except InputError as error:
            faults.append(f"{case.name}: {error}")
            continue
        if isinstance(content, PreparedCase):  # a full disk is no fault of the case
            content = keep_finished(content, out, name=case.name, facts=facts)
            made.append(case.name)
        finished[case.name] = content
        if (
            cohort.intensity_rule == HOUNSFIELD and reference is None
        ):  # all follow the first
            first = io.read(out / content.files["image"])
            reference = _Reference(first, facts | {"case": case.name})
    return finished, made, faults


def _given(cohort: Download, path: Path | None) -> _Reference | None:
    """The reference scan that the user gives.

    Raises:
        InputError: If the cohort is not matched to one, or it cannot be read.
    """
    if path is None:
        return None
    if cohort.intensity_rule != HOUNSFIELD:
        raise InputError(f"--reference is for CT, {cohort.name} is not matched to one")
    image = io.read(path)
    in_units = Image(image.data - hounsfield_offset(image), image.grid)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [SourceFile(file.name, file).facts() for file in files if file.is_file()]
    return _Reference(in_units, {"given": facts})


def _facts(
    case: SourceCase, cohort: Download, reference: _Reference | None
) -> dict[str, Any]:
    """All that decides what a case becomes."""
    text = json.dumps(reference.facts, sort_keys=True) if reference else ""
    return {
        "format": _FORMAT,
        "recipe": cohort.name,
        "sources": [facts() for facts in case.sources],
        "reference": hashlib.sha256(text.encode()).hexdigest() if reference else None,
    }


def _shown(name: str, case: FinishedCase, out: Path) -> Shown:
    labels = case.files.get("labels")
    return Shown(name, out / case.files["image"], out / labels if labels else None)


def _nothing(cohort: Download, source: Path, faults: Sequence[str]) -> str:
    wrong = "; ".join(faults[:_FAULTS_SHOWN])
    if len(faults) > _FAULTS_SHOWN:
        wrong += f" and {len(faults) - _FAULTS_SHOWN} more"
    return (
        f"{source}: expected {cohort.name} as downloaded, such as "
        f"{' '.join(cohort.disk[0].split())}, got no case that can be prepared"
        + (f": {wrong}" if wrong else "")
        + f": see voltween prepare {cohort.name}"
    )

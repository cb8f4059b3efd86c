"""Preparation of a download: comparable scans, a manifest and a record of the steps."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts.case_preparation import HOUNSFIELD, PreparedCase, prepare_case
from voltween.cohorts.cohort_folder import MANIFEST, write_provenance, write_tables
from voltween.cohorts.contact_sheet import SheetCase, page_names, write_contact_sheets
from voltween.cohorts.downloads.download import Contents, Download, SourceCase
from voltween.cohorts.downloads.sources import SourceFile, open_source
from voltween.cohorts.finished_cases import FinishedCase, find_finished, write_finished
from voltween.errors import InputError
from voltween.preprocessing import hounsfield_offset
from voltween.spatial import Image

_FORMAT = 2  # increase when cases are prepared in another way
_FEWEST_VAL = 2  # persons, enough for a pair
_FAULTS_SHOWN = 3  # in one line


@dataclass(frozen=True)
class PreparationOptions:
    """The user's choices for a preparation.

    Raises:
        InputError: If the share is negative, or 1 or more.
    """

    val_share: float = 0.1
    """Share of the persons with `train` cases to set aside as `val`, for the choice of
    the best checkpoint; at least two persons, or 0 for none. The draw depends only on
    the persons' names and is always the same."""
    reference: Path | None = None
    """CT whose histogram all scans are matched to, used as it is: an image of a cohort
    that is prepared already. Default: the first case. MR needs none."""

    def __post_init__(self) -> None:
        if not 0 <= self.val_share < 1:
            raise InputError(
                about="val_share",
                expected="a number from 0 to below 1",
                got=self.val_share,
            )


@dataclass(frozen=True)
class PreparedCohort:
    """The result of a preparation."""

    manifest: Path
    splits: dict[str, str]
    """Split of every finished case, by name."""
    made: tuple[str, ...]
    """Cases that this run finished."""
    faults: tuple[str, ...]
    """Faults of the cases that could not be prepared, one line each."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """The CT that others are matched to."""

    image: Image
    facts: dict[str, Any]


@dataclass
class _Progress:
    """The cases finished so far, with those that are new, and the faults."""

    finished: dict[str, FinishedCase] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def prepare(
    download: Download,
    source: Path,
    *,
    out: Path,
    options: PreparationOptions = PreparationOptions(),
    on_case: Callable[[str], None] = lambda text: None,
) -> PreparedCohort:
    """Writes images, labels and points of a download, the manifest and the records.

    A case that cannot be prepared is a fault, and the others are still prepared.
    Finished cases whose source and recipe have not changed are kept.

    Raises:
        InputError: If no case can be prepared.
        OutputError: If `out` cannot be written to.
    """
    reference = _read_reference(download, options.reference)
    contents = download.find(open_source(source))
    if not contents.cases:
        raise _no_case(download, source, contents.faults)
    progress = _prepare_cases(
        contents, download, out=out, reference=reference, on_case=on_case
    )
    finished, faults = progress.finished, [*contents.faults, *progress.faults]
    if not finished:
        raise _no_case(download, source, faults)
    cases = [case for case in contents.cases if case.name in finished]
    splits = assign_splits(cases, download.split, options.val_share)
    pairs = [pair for pair in contents.pairs if set(pair) <= set(finished)]
    is_new = write_tables(
        finished,
        out,
        splits=splits,
        pairs=pairs,
        persons={case.name: case.person for case in cases},
        cohort=download.name,
    )
    write_provenance(finished, out, download=download, source=source, faults=faults)
    pages = [out / name for name in page_names(len(finished))]
    if progress.made or is_new or not all(page.exists() for page in pages):
        write_contact_sheets([_on_sheet(n, c, out) for n, c in finished.items()], out)
    return PreparedCohort(out / MANIFEST, splits, tuple(progress.made), tuple(faults))


def assign_splits(
    cases: Sequence[SourceCase], default: str, val_share: float
) -> dict[str, str]:
    """Assigns a split to every case: the download's own, else the default or `val`.

    `val` persons are drawn from `train` by a digest of their names, unless the download
    has `val` cases itself.
    """
    splits = {case.name: case.split or default for case in cases}
    if "val" in splits.values():
        return splits
    train = {case.person for case in cases if splits[case.name] == "train"}
    drawn = sorted(train, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = max(round(val_share * len(train)), _FEWEST_VAL) if val_share else 0
    if len(train) < 2 * _FEWEST_VAL:  # too few to divide
        count = 0
    val = set(drawn[:count])
    return splits | {
        case.name: "val"
        for case in cases
        if splits[case.name] == "train" and case.person in val
    }


def _prepare_cases(
    contents: Contents,
    download: Download,
    *,
    out: Path,
    reference: _Reference | None,
    on_case: Callable[[str], None],
) -> _Progress:
    progress = _Progress()
    for number, case in enumerate(contents.cases, 1):
        on_case(f"{case.name} ({number} of {len(contents.cases)})")
        image = reference.image if reference else None
        try:
            facts = _facts(case, download, reference)
            ready = find_finished(out, case.name, facts)
            content = ready or prepare_case(case.load(), download, reference=image)
        except InputError as error:
            progress.faults.append(str(error.add_context(case.name)))
            continue
        if isinstance(content, PreparedCase):  # a full disk is no fault of the case
            content = write_finished(content, out, name=case.name, facts=facts)
            progress.made.append(case.name)
        progress.finished[case.name] = content
        if download.intensity_rule == HOUNSFIELD and reference is None:
            first = io.read(out / content.files["image"])  # the reference of the rest
            reference = _Reference(first, facts | {"case": case.name})
    return progress


def _read_reference(download: Download, path: Path | None) -> _Reference | None:
    """The reference scan that the user names, if any.

    Raises:
        InputError: If the cohort is not matched to one, or it cannot be read.
    """
    if path is None:
        return None
    if download.intensity_rule != HOUNSFIELD:
        raise InputError(
            about="--reference",
            expected="a cohort of CT, whose histograms are matched",
            got=download.name,
            advice="leave the option out",
        )
    image = io.read(path)
    in_units = Image(image.data - hounsfield_offset(image), image.grid)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [SourceFile(file.name, file).facts() for file in files if file.is_file()]
    return _Reference(in_units, {"given": facts})


def _facts(
    case: SourceCase, download: Download, reference: _Reference | None
) -> dict[str, Any]:
    """Everything that determines the prepared case."""
    text = json.dumps(reference.facts, sort_keys=True) if reference else ""
    return {
        "format": _FORMAT,
        "recipe": download.name,
        "sources": [facts() for facts in case.sources],
        "reference": hashlib.sha256(text.encode()).hexdigest() if reference else None,
    }


def _on_sheet(name: str, case: FinishedCase, out: Path) -> SheetCase:
    labels = case.files.get("labels")
    return SheetCase(name, out / case.files["image"], out / labels if labels else None)


def _no_case(download: Download, source: Path, faults: Sequence[str]) -> InputError:
    reasons = "; ".join(faults[:_FAULTS_SHOWN])
    if len(faults) > _FAULTS_SHOWN:
        reasons += f" and {len(faults) - _FAULTS_SHOWN} more"
    example = " ".join(download.disk[0].split())
    return InputError(
        about=source,
        expected=f"{download.name} as downloaded, such as {example}",
        got="no case that can be prepared" + (f" ({reasons})" if reasons else ""),
        advice=f"see voltween prepare {download.name}",
    )

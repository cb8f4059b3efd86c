"""Preparation of a download: comparable scans, a manifest and a record of the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voltween import io
from voltween.cohorts.case_preparation import HOUNSFIELD, prepare_case
from voltween.cohorts.choices import (
    RECORD,
    Choices,
    PreparationOptions,
    read_choices,
    write_choices,
)
from voltween.cohorts.cohort_folder import MANIFEST, write_provenance, write_tables
from voltween.cohorts.companions import Landmarks, add_masks, open_landmarks
from voltween.cohorts.contact_sheet import SheetCase, page_names, write_contact_sheets
from voltween.cohorts.downloads.download import Contents, Download, SourceCase
from voltween.cohorts.downloads.sources import SourceFile, open_source
from voltween.cohorts.edits import check_edits
from voltween.cohorts.finished_cases import FinishedCase, find_finished, write_finished
from voltween.cohorts.raters import RatedPoints, spread_text
from voltween.cohorts.selection import select_cases
from voltween.cohorts.suspicions import FileNames, warn_of_suspicious_cases
from voltween.errors import InputError, reporting_memory_shortage
from voltween.preprocessing import hounsfield_offset
from voltween.spatial import Image
from voltween.storage import add_inputs, facts_digest, files_of, text_digest
from voltween.workers import Outcome, Runner, Shared, Task, sharing

_FORMAT = 2  # increase when cases are prepared in another way
_FEWEST_VAL = 2  # persons, enough for a pair
_FAULTS_SHOWN = 3  # in one line
_NO_OPTIONS = PreparationOptions()


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
    notes: tuple[str, ...] = ()
    """Remarks on the whole cohort, one line each."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """The CT that others are matched to."""

    image: Image
    facts: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Work:
    """The values that the preparation of every case needs."""

    download: Download
    out: Path
    reference: _Reference | None


@dataclass
class _Progress:
    """The cases finished so far, with those that are new, and the others."""

    finished: dict[str, FinishedCase] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    """Faults of the others, by name."""

    def in_order(self, cases: Sequence[SourceCase]) -> "_Progress":
        """The same in the order of the cases, whichever ended first."""
        names = dict.fromkeys(case.name for case in cases)
        return _Progress(
            {name: self.finished[name] for name in names if name in self.finished},
            [name for name in names if name in self.made],
            {name: self.faults[name] for name in names if name in self.faults},
        )


def prepare(
    download: Download,
    source: Path,
    *,
    out: Path,
    options: PreparationOptions = _NO_OPTIONS,
    runner: Runner | None = None,
) -> PreparedCohort:
    """Writes images, labels and points of a download, the manifest and the records.

    A case that cannot be prepared is a fault, and the others are still prepared.
    Finished cases whose source and recipe have not changed are kept.

    Raises:
        InputError: If no case can be prepared, an option does not apply, the manifest
            has edits by hand that would be lost, or a file of the source would be
            written over.
        OutputError: If `out` cannot be written to.
    """
    recorded = read_choices(out, download.name)
    choices = recorded.changed_by(options)
    add_inputs(_files_to_keep(source, out))
    download = choices.specify(download)
    reference = _read_reference(choices.reference)
    contents = select_cases(download.find(open_source(source)), choices, options)
    contents, landmarks = _add_companions(contents, choices)
    if not contents.cases:
        raise _no_case(download, source, contents.all_faults)
    check_edits(out, _assign(contents.cases, download, choices))
    progress = _prepare_cases(
        contents, download, out=out, reference=reference, runner=runner or Runner()
    )
    finished, faults = (
        progress.finished,
        [*contents.all_faults, *progress.faults.values()],
    )
    if not finished:
        raise _no_case(download, source, faults)
    splits, is_new = _write_tables(
        contents, finished, download, choices=choices, out=out
    )
    warn_of_suspicious_cases(finished, splits, about=source)
    write_choices(choices, out)
    write_provenance(finished, out, download=download, source=source, faults=faults)
    pages = [out / name for name in page_names(len(finished))]
    if progress.made or is_new or not all(page.exists() for page in pages):
        write_contact_sheets([_on_sheet(n, c, out) for n, c in finished.items()], out)
    notes = _notes(recorded, options, landmarks.rated(finished))
    return PreparedCohort(
        out / MANIFEST, splits, tuple(progress.made), tuple(faults), notes
    )


def _files_to_keep(source: Path, out: Path) -> list[Path]:
    """The files of the download, without those of an earlier run in a folder of it."""
    files = files_of(source)
    if not (out / RECORD).exists():
        return files
    prepared = out.resolve()
    return [file for file in files if prepared not in file.resolve().parents]


def _add_companions(contents: Contents, choices: Choices) -> tuple[Contents, Landmarks]:
    """The contents with the user's landmarks and masks, and these landmarks."""
    landmarks = Landmarks({})
    if choices.points:
        landmarks = open_landmarks(Path(choices.points))
        contents = landmarks.add_to(contents)
    if choices.strip:
        contents = add_masks(contents, Path(choices.strip))
    return contents, landmarks


def _write_tables(
    contents: Contents,
    finished: Mapping[str, FinishedCase],
    download: Download,
    *,
    choices: Choices,
    out: Path,
) -> tuple[dict[str, str], bool]:
    """Writes the tables; returns the splits and whether the manifest changed."""
    cases = [case for case in contents.cases if case.name in finished]
    splits = _assign(cases, download, choices)
    is_new = write_tables(
        finished,
        out,
        splits=splits,
        pairs=[pair for pair in contents.pairs if set(pair) <= set(finished)],
        persons={case.name: case.person for case in cases},
        cohort=out.resolve().name if download.is_open else download.name,
    )
    return splits, is_new


def _assign(
    cases: Sequence[SourceCase], download: Download, choices: Choices
) -> dict[str, str]:
    return assign_splits(
        cases, download.split, choices.val_share, chosen=choices.splits or {}
    )


def _notes(
    recorded: Choices, options: PreparationOptions, rated: Sequence[RatedPoints]
) -> tuple[str, ...]:
    """The options kept from the run before, and the spread of the raters."""
    kept = recorded.kept_under(options)
    notes = [f"Kept from the last run: {', '.join(kept)}"] if kept else []
    if rated:
        notes.append(
            f"Landmarks of {len(rated)} case(s) by several raters: {spread_text(rated)}"
        )
    return tuple(notes)


def assign_splits(
    cases: Sequence[SourceCase],
    default: str,
    val_share: float,
    *,
    chosen: Mapping[str, str],
) -> dict[str, str]:
    """Assigns a split to every case: chosen, else the download's, else the default.

    `val` persons are drawn from `train` by a digest of their names, unless there are
    `val` cases already. Persons with a case whose split was chosen are not drawn.
    """
    splits = {
        case.name: chosen.get(case.name) or case.split or default for case in cases
    }
    if "val" in splits.values():
        return splits
    train = {case.person for case in cases if splits[case.name] == "train"}
    train -= {case.person for case in cases if case.name in chosen}
    drawn = sorted(train, key=text_digest)
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
    runner: Runner,
) -> _Progress:
    """Finds or makes the cases; the first CT is the reference of the others."""
    work = _Work(download, out, reference)
    cases = list(contents.cases)
    progress, names = _Progress(), FileNames()
    is_first = download.intensity_rule == HOUNSFIELD and reference is None
    while is_first and cases and not progress.finished:
        here = Runner(status=runner.status)
        _prepare_some([cases.pop(0)], work, names, progress, here)
    if is_first and progress.finished:
        ((name, first),) = progress.finished.items()
        image = io.read(out / first.files["image"])
        work = replace(work, reference=_Reference(image, first.facts | {"case": name}))
    _prepare_some(cases, work, names, progress, runner)
    return progress.in_order(contents.cases)


def _prepare_some(
    cases: Sequence[SourceCase],
    work: _Work,
    names: FileNames,
    progress: _Progress,
    runner: Runner,
) -> None:
    facts: dict[str, dict[str, Any]] = {}
    missing = []
    for case in cases:
        try:
            names.add(case.name)
            with reporting_memory_shortage():
                facts[case.name] = _facts(case, work.download, work.reference)
        except InputError as error:
            progress.faults[case.name] = str(error.add_context(case.name))
            continue
        ready = find_finished(work.out, case.name, facts[case.name])
        if ready is None:
            missing.append(case)
        else:
            progress.finished[case.name] = ready
            runner.status.keep(case.name)

    def note(outcome: Outcome) -> str:
        name = outcome.name
        made = find_finished(work.out, name, facts[name]) if not outcome.error else None
        if made is None:
            error = outcome.error or "expected its files in the folder, got none"
            progress.faults[name] = f"{name}: {error}"
        else:
            progress.finished[name] = made
            progress.made.append(name)
        return ""

    if not missing:
        return
    with sharing(work, work.out, runner.engine) as shared:
        tasks = [Task(case.name, (shared, case, facts[case.name])) for case in missing]
        runner.run(_prepare_one, tasks, note)


def _prepare_one(work: Shared[_Work], case: SourceCase, facts: dict[str, Any]) -> None:
    """Prepares a case and writes it."""
    reference = work.value.reference
    image = reference.image if reference else None
    content = prepare_case(case.load(), work.value.download, reference=image)
    write_finished(content, work.value.out, name=case.name, facts=facts)


def _read_reference(given: str | None) -> _Reference | None:
    """The reference scan that the user names, if any.

    Raises:
        InputError: If it cannot be read.
    """
    if given is None:
        return None
    path = Path(given)
    image = io.read(path)
    in_units = Image(image.data - hounsfield_offset(image), image.grid)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    facts = [SourceFile(file.name, file).facts() for file in files if file.is_file()]
    return _Reference(in_units, {"given": facts})


def _facts(
    case: SourceCase, download: Download, reference: _Reference | None
) -> dict[str, Any]:
    """Everything that determines the prepared case."""
    rules = [download.region, download.intensity_rule] if download.is_open else []
    return {
        "format": _FORMAT,
        "recipe": " ".join([download.name, *rules]),
        "sources": [facts() for facts in case.sources],
        "reference": facts_digest(reference.facts) if reference else None,
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

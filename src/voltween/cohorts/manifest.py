"""The manifest: a CSV that lists the cases of a cohort and the files of each."""

import csv
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween.cohorts.text_files import csv_text, write_if_changed
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.files import PathLike, check_suffix, existing_file, folder_of
from voltween.inputs import add_inputs, is_there

SPLITS = ("train", "val", "test")
_REQUIRED = {"case", "image", "split"}
_COLUMNS = ("case", "image", "labels", "points", "split")
_SHOWN = 5  # groups of cases of one image, in a warning
_GROUPS = ("subject", "cohort")  # columns that are written if a case has a value


@dataclass(frozen=True)
class Case:
    """One scan of a manifest and the files that belong to it."""

    name: str
    image: Path
    labels: Path | None
    points: Path | None
    split: str
    subject: str = ""
    """The person who was scanned; empty if it is not known."""
    cohort: str = ""
    """The cohort that the case comes from; empty if it is not known."""

    @property
    def person(self) -> str:
        """The subject or, if it is not known, the name of the case."""
        return self.subject or self.name


def read_manifest(path: PathLike) -> tuple[Case, ...]:
    """Reads a CSV with columns case, image and split.

    Columns labels, points, subject and cohort are optional. Paths are relative to the
    manifest's folder; a split is train, val or test. The manifest and the files that it
    lists are inputs of the command, which are not written over (`inputs.reading`). A
    `SuspiciousInputWarning` names cases that are one file.

    Raises:
        InputError: If a column or file is missing, a case is listed twice, or a split
            is unknown. One error names all faults.
    """
    path = existing_file(Path(path))
    cases = tuple(_case(row, path.parent) for row in _rows(path))
    if faults := [*_case_faults(cases), *_repeated_names(cases)]:
        raise InputError(
            about=path,
            expected="a manifest of existing files, each case listed once",
            got=f"{len(faults)} fault(s): {'; '.join(faults)}",
        )
    add_inputs([path, *(file for case in cases for file in _files_of(case))])
    _warn_of_repeated_images(cases, path)
    return cases


def write_manifest(
    cases: Iterable[Case], path: Path, *, line_ending: str = "\n"
) -> bool:
    """Writes a manifest for `read_manifest`; returns whether the file changed.

    Paths are written relative to the manifest's folder. Columns subject and cohort are
    written if any case has one. A file that has the same content already is not
    touched.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    text = _manifest_text(tuple(cases), path.parent, line_ending=line_ending)
    return write_if_changed(path, text)


def write_new_manifest(cases: Iterable[Case], path: Path) -> None:
    """Writes a manifest as `write_manifest` does, but never over another file.

    Raises:
        InputError: If the path does not end in .csv, or something else is there.
        OutputError: If the folder cannot be made or written to.
    """
    check_suffix(path, (".csv",), "a manifest")
    text = _manifest_text(tuple(cases), path.parent)
    if path.exists() and (path.is_dir() or path.read_bytes() != text.encode()):
        raise InputError(
            about=path,
            expected="a new file, or the same manifest",
            got="a folder" if path.is_dir() else "another file",
            advice="give another --out, or move it away",
        )
    with folder_of(path):
        write_if_changed(path, text)


def cases_of_split(cases: Iterable[Case], split: str) -> tuple[Case, ...]:
    """The cases of one split, at least two.

    Raises:
        InputError: If fewer than two cases are in the split.
    """
    chosen = tuple(case for case in cases if case.split == split)
    if len(chosen) < 2:
        raise InputError(
            about=f"split {split!r}",
            expected="at least two cases, to form pairs",
            got=len(chosen),
        )
    return chosen


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            about=path, expected="a manifest (CSV text)", got="another kind of file"
        ) from error
    if missing := _REQUIRED - set(reader.fieldnames or ()):
        raise InputError(
            about=path,
            expected="a manifest with columns case, image, split (and optionally "
            "labels, points, subject, cohort)",
            got=f"no {', '.join(sorted(missing))}",
        )
    return rows


def _case(row: dict[str, str], folder: Path) -> Case:
    return Case(
        name=row["case"],
        image=folder / row["image"],
        labels=folder / row["labels"] if row.get("labels") else None,
        points=folder / row["points"] if row.get("points") else None,
        split=row["split"],
        subject=row.get("subject", ""),
        cohort=row.get("cohort", ""),
    )


def _manifest_text(
    cases: Sequence[Case], folder: Path, *, line_ending: str = "\n"
) -> str:
    groups = [name for name in _GROUPS if any(getattr(case, name) for case in cases)]
    rows = [
        [*_row(case, folder), *(getattr(case, name) for name in groups)]
        for case in cases
    ]
    return csv_text((*_COLUMNS, *groups), rows, line_ending=line_ending)


def _row(case: Case, folder: Path) -> list[str]:
    files = (
        _relative(file, folder).as_posix() if file else ""
        for file in (case.image, case.labels, case.points)
    )
    return [case.name, *files, case.split]


def _relative(file: Path, folder: Path) -> Path:
    """The path from the folder to the file.

    A path that leaves the folder starts from the folders' real places: `..` after a
    link to a folder leads to the parent of the folder that the link points to.
    """
    if file.is_relative_to(folder) and ".." not in file.parts:
        return file.relative_to(folder)
    return Path(os.path.relpath(file.parent.resolve() / file.name, folder.resolve()))


def _case_faults(cases: Iterable[Case]) -> list[str]:
    """Missing files and unknown splits."""
    faults = []
    for case in cases:
        faults += [
            f"{case.name}: no file {f}" for f in _files_of(case) if not is_there(f)
        ]
        if case.split not in SPLITS:
            faults.append(
                f"{case.name}: split must be one of {SPLITS}, got {case.split!r}"
            )
    return faults


def _files_of(case: Case) -> list[Path]:
    return [path for path in (case.image, case.labels, case.points) if path]


def _warn_of_repeated_images(cases: Iterable[Case], path: Path) -> None:
    """Warns of cases whose images are one file, perhaps in two splits."""
    by_file: dict[Path, list[Case]] = {}
    for case in cases:
        by_file.setdefault(case.image.resolve(), []).append(case)
    repeated = [same for same in by_file.values() if len(same) > 1]
    if repeated:
        names = "; ".join(
            " and ".join(f"{case.name} ({case.split})" for case in same)
            for same in repeated[:_SHOWN]
        )
        more = f" and {len(repeated) - _SHOWN} more" if len(repeated) > _SHOWN else ""
        warnings.warn(
            f"{path}: cases of one and the same image: {names}{more}",
            SuspiciousInputWarning,
            stacklevel=3,
        )


def _repeated_names(cases: Sequence[Case]) -> list[str]:
    names = [case.name for case in cases]
    repeated = {name for name in names if names.count(name) > 1}
    return [f"{name} is listed twice" for name in sorted(repeated)]

"""The manifest: a CSV that lists the cases of a cohort and the files of each."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from voltween.cohorts.label_names import LabelNumbers
from voltween.cohorts.manifest_checks import check_cases, check_rows
from voltween.cohorts.manifest_row import Case
from voltween.errors import InputError
from voltween.storage import (
    PathLike,
    add_inputs,
    check_suffix,
    csv_text,
    existing_file,
    folder_of,
    read_table,
    write_if_changed,
)

_REQUIRED = ("case", "image", "split")
_ALWAYS_REQUIRED = ("case", "split")
_ROLES = ("image", "labels", "points")
_COLUMNS = ("case", *_ROLES, "split")
_GROUPS = ("subject", "cohort")  # columns that are written if a case has a value


def read_manifest(
    path: PathLike, *, may_lack_files: bool = False, may_lack_scans: bool = False
) -> tuple[Case, ...]:
    """Reads a CSV with columns case, image and split.

    Columns labels, points, subject and cohort are optional. Paths are relative to the
    manifest's folder; a split is train, val or test. Where label files state names,
    structures of one name get one number in all cases (`Case.named_labels`), for which
    the heads of these files are read when a command first needs the labels. The
    manifest and the files that it lists are inputs of the command, which are not
    written over (`inputs.reading`). A `SuspiciousInputWarning` names what is hardly
    meant (`manifest_checks`).

    Args:
        path: The CSV.
        may_lack_files: Whether missing files stop their own cases alone, when they are
            read, and not the command.
        may_lack_scans: Whether a case may have a label map and no image, from which
            scans are synthesized.

    Raises:
        InputError: If a column or file is missing, there is no case, a row cannot be
            used, or cases contradict each other. One error names all such faults.
    """
    path = existing_file(Path(path))
    needed = _ALWAYS_REQUIRED if may_lack_scans else _REQUIRED
    rows = read_table(path, "a manifest", needed).rows
    if may_lack_scans:
        rows = tuple(
            row | {"image": row.get("image") or row.get("labels", "")} for row in rows
        )
    check_rows(rows, path)
    cases = tuple(_case(row, path.parent) for row in rows)
    check_cases(
        cases, path, may_lack_files=may_lack_files, may_lack_scans=may_lack_scans
    )
    add_inputs([path, *(file for case in cases for file in case.files)])
    numbers = LabelNumbers(case.labels for case in cases if case.labels)
    return tuple(replace(case, label_numbers=numbers) for case in cases)


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


def cases_of_split(
    cases: Iterable[Case], split: str, *, fewest: int = 2
) -> tuple[Case, ...]:
    """The cases of one split, at least two, or as few as `fewest`.

    Raises:
        InputError: If fewer cases are in the split.
    """
    chosen = tuple(case for case in cases if case.split == split)
    if len(chosen) < fewest:
        expected = "at least two cases, to form pairs" if fewest == 2 else "a case"
        raise InputError(about=f"split {split!r}", expected=expected, got=len(chosen))
    return chosen


def _case(row: dict[str, str], folder: Path) -> Case:
    image, labels, points = (row.get(role, "") for role in _ROLES)
    return Case(
        name=row["case"],
        image=folder / image,
        labels=folder / labels if labels else None,
        points=folder / points if points else None,
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

"""Cohorts of scans: the manifest that lists them, and their tensors for training."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voltween.errors import InputError
from voltween.files import PathLike

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Case:
    """One scan of a manifest, with what belongs to it."""

    name: str
    image: Path
    labels: Path | None
    points: Path | None
    split: str


def read_manifest(path: PathLike) -> tuple[Case, ...]:
    """Cases of a CSV with columns case, image, split, and maybe labels and points.

    Paths are relative to the manifest's folder. `split` is train, val or test.

    Raises:
        InputError: If a column or file is missing, a case is named twice, or a split
            is unknown. All faults are named at once.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such manifest")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: expected a manifest (CSV text), got another kind of file"
        ) from error
    missing = {"case", "image", "split"} - set(reader.fieldnames or ())
    if missing:
        raise InputError(
            f"{path}: a manifest needs the columns case, image, split (and may have "
            f"labels, points), got no {', '.join(sorted(missing))}"
        )
    cases = tuple(_case(row, path.parent) for row in rows)
    faults = [fault for case in cases for fault in _faults(case)]
    names = [case.name for case in cases]
    faults += [
        f"{name} is listed twice" for name in {n for n in names if names.count(n) > 1}
    ]
    if faults:
        raise InputError(f"{path}: {len(faults)} fault(s): {'; '.join(faults)}")
    return cases


def cases_of_split(cases: Iterable[Case], split: str) -> tuple[Case, ...]:
    """The cases of one split, at least two.

    Raises:
        InputError: If fewer than two cases are in the split.
    """
    chosen = tuple(case for case in cases if case.split == split)
    if len(chosen) < 2:
        raise InputError(
            f"pairs need at least two cases with split {split!r}, got {len(chosen)}"
        )
    return chosen


def _case(row: dict[str, str], folder: Path) -> Case:
    return Case(
        name=row["case"],
        image=folder / row["image"],
        labels=folder / row["labels"] if row.get("labels") else None,
        points=folder / row["points"] if row.get("points") else None,
        split=row["split"],
    )


def _faults(case: Case) -> list[str]:
    files = (case.image, case.labels, case.points)
    faults = [
        f"{case.name}: no file {file}" for file in files if file and not file.exists()
    ]
    if case.split not in SPLITS:
        faults.append(f"{case.name}: split must be one of {SPLITS}, got {case.split!r}")
    return faults

"""The T1-weighted scans of a BIDS data set."""

import re
from collections import Counter
from pathlib import Path

from voltween.cohorts import Case
from voltween.errors import InputError

_PATTERNS = ("sub-*/anat/*_T1w.nii*", "sub-*/ses-*/anat/*_T1w.nii*")
_NAME = re.compile(
    r"(?P<entities>sub-[a-zA-Z0-9+]+(_[a-z]+-[a-zA-Z0-9+]+)*)_T1w\.nii(\.gz)?"
)
_SHOWN = 5  # names in one line


def is_bids(folder: Path) -> bool:
    """Whether a folder is a BIDS data set with T1-weighted scans."""
    return any(next(folder.glob(pattern), None) for pattern in _PATTERNS)


def read_bids(folder: Path) -> tuple[Case, ...]:
    """The T1-weighted scans of a data set, by subject, session and name.

    A case is named by the entities of its file, such as `sub-01_ses-2_run-1`. Numbers
    in labels are ordered as numbers: session 10 comes after session 9.

    Raises:
        InputError: If a file is not named as BIDS has it, or two scans share a name.
    """
    paths = [path for pattern in _PATTERNS for path in folder.glob(pattern)]
    cases = {path: _case(path) for path in sorted(paths, key=_order)}
    if strangers := [path.name for path, case in cases.items() if case is None]:
        raise InputError(
            about=folder,
            expected="names as BIDS has them, such as sub-01_ses-2_T1w.nii.gz",
            got=", ".join(strangers[:_SHOWN]),
        )
    found = tuple(case for case in cases.values() if case is not None)
    counts = Counter(case.name for case in found)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise InputError(
            about=folder,
            expected="one file per scan",
            got=f"several of {', '.join(twice[:_SHOWN])}",
        )
    return found


def entities_of(name: str) -> dict[str, str]:
    """The entities of a case's name by their keys, such as sub and ses."""
    return dict(part.split("-", 1) for part in name.split("_") if "-" in part)


def _case(path: Path) -> Case | None:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    name = match["entities"]
    subject = entities_of(name)["sub"]
    return Case(name, path, None, None, split="", subject=f"sub-{subject}")


def _order(path: Path) -> list[list[tuple[bool, int, str]]]:
    return [_natural(part) for part in path.parts]


def _natural(text: str) -> list[tuple[bool, int, str]]:
    """A key of order by which numbers in a text count as numbers."""
    parts = re.split(r"(\d+)", text)
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts
    ]

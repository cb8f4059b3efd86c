"""Prepared cases that are hardly what was meant, and names that no file can have."""

import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Mapping

from voltween.cohorts.case_preparation import COPIED
from voltween.cohorts.finished_cases import FinishedCase
from voltween.errors import InputError, SuspiciousInputWarning

_SHOWN = 5  # cases in one line


class FileNames:
    """The names of a cohort's cases, which become names of files everywhere."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Adds the name of a case.

        Raises:
            InputError: If it is no text, or one that another case has on file systems
                where case does not count.
        """
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError(expected="a name in UTF-8", got="bytes that are no text")
        key = unicodedata.normalize("NFC", name).casefold()
        other = self._names.setdefault(key, name)
        if other != name:
            raise InputError(
                expected="a name that no other case has, where case does not count",
                got=f"the name of {other}",
            )


def warn_of_suspicious_cases(
    finished: Mapping[str, FinishedCase], splits: Mapping[str, str], *, about: object
) -> None:
    """Warns of scans that several cases share, and of labels that lie elsewhere."""
    scans: dict[str, list[str]] = defaultdict(list)
    for name, case in finished.items():
        # The largest file of a case is its image: no header, mask or label map.
        largest = max(case.facts["sources"], key=lambda facts: facts["bytes"])
        scans[largest["sha256"]].append(name)
    if repeated := [names for names in scans.values() if len(names) > 1]:
        listed = [" and ".join(f"{n} ({splits[n]})" for n in same) for same in repeated]
        _warn(f"{about}: cases of one and the same scan: {_listed(listed)}")
    moved = [n for n, case in finished.items() if COPIED in case.log.get("remarks", "")]
    if moved:
        _warn(
            f"{about}: by their headers, labels do not lie on their scans in "
            f"{len(moved)} case(s), and were copied voxel by voxel: {_listed(moved)}: "
            "check them in contact_sheet.png"
        )


def _warn(text: str) -> None:
    warnings.warn(text, SuspiciousInputWarning, stacklevel=4)


def _listed(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more

"""Prepared cases that are hardly what was meant."""

import pytest

from voltween.cohorts.finished_cases import FinishedCase
from voltween.cohorts.suspicions import FileNames, warn_of_suspicious_cases
from voltween.errors import InputError, SuspiciousInputWarning

SPLITS = {"a": "train", "b": "val", "c": "train"}


def finished(*digests, remarks=""):
    """A case made from files of falling size."""
    sources = [
        {"file": str(n), "bytes": 9 - n, "sha256": digest}
        for n, digest in enumerate(digests)
    ]
    log = {"remarks": remarks}
    return FinishedCase({"sources": sources}, {"image": "a"}, log, "", "")


def test_cases_of_one_scan_are_named_with_their_splits():
    cases = {"a": finished("x", "m"), "b": finished("x", "n")}
    cases["c"] = finished("y", "m")
    with pytest.warns(
        SuspiciousInputWarning, match=r"one .* scan: a \(t.* and b \(val"
    ):
        warn_of_suspicious_cases(cases, SPLITS, about="source")


def test_labels_that_lie_elsewhere_are_told():
    moved = finished("x", remarks="label header disagrees: copied voxel by voxel")
    cases = {"a": moved, "b": finished("y")}
    with pytest.warns(SuspiciousInputWarning, match=r"1 case\(s\), .*: a: check them"):
        warn_of_suspicious_cases(cases, SPLITS, about="source")


def test_different_scans_get_no_warning():
    warn_of_suspicious_cases(
        {"a": finished("x"), "b": finished("y")}, SPLITS, about="s"
    )


def test_names_are_told_apart_by_every_file_system():
    names = FileNames()
    for name in ("a", "b", "a", "é"):
        names.add(name)
    for name in ("A", "e\u0301", "\udc80"):
        with pytest.raises(InputError, match="expected a name"):
            names.add(name)

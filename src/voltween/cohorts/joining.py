"""Manifests of several cohorts joined to one."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voltween.cohorts.manifest import read_manifest
from voltween.cohorts.manifest_checks import check_cases
from voltween.cohorts.manifest_row import Case
from voltween.errors import InputError


def join_manifests(paths: Sequence[Path]) -> tuple[Case, ...]:
    """The cases of all manifests, each with its cohort.

    The cohort of a case that names none is the folder of its manifest. Subjects are
    prefixed by the cohort, because equal names in two cohorts are different persons.
    Cases whose name occurs in two manifests are renamed to COHORT-NAME.

    Raises:
        InputError: If fewer than two manifests are given, one of them cannot be read,
            or two have the same cohort or cases that cannot be told apart.
    """
    if len(paths) < 2:
        raise InputError(
            about="manifests", expected="at least two to join", got=len(paths)
        )
    manifests = [_in_cohort(read_manifest(path), path) for path in paths]
    _check_cohorts(manifests, paths)
    cases = [case for manifest in manifests for case in manifest]
    counts = Counter(case.name for case in cases)
    joined = tuple(
        replace(case, name=_prefixed(case.name, case.cohort))
        if counts[case.name] > 1
        else case
        for case in cases
    )
    _check_names(joined)
    check_cases(joined, "the joined manifest")
    return joined


def _in_cohort(cases: Sequence[Case], path: Path) -> list[Case]:
    """The cases with their cohort, and with subjects that no other cohort has."""
    folder = Path(os.path.abspath(path)).parent.name
    named = [replace(case, cohort=case.cohort or folder) for case in cases]
    return [
        replace(case, subject=_prefixed(case.subject, case.cohort))
        if case.subject
        else case
        for case in named
    ]


def _prefixed(name: str, cohort: str) -> str:
    """The name with the cohort in front, once: it may come from `join_manifests`."""
    return name if name.startswith(f"{cohort}-") else f"{cohort}-{name}"


def _check_cohorts(manifests: Sequence[Sequence[Case]], paths: Sequence[Path]) -> None:
    first: dict[str, Path] = {}
    for cases, path in zip(manifests, paths, strict=True):
        cohorts = {case.cohort for case in cases}
        if shared := sorted(cohorts & first.keys()):
            raise InputError(
                about=path,
                expected="cohorts that no other manifest has",
                got=f"{shared[0]}, as in {first[shared[0]]}",
                advice="give one of them another name in the column cohort of its "
                "manifest or, without that column, another folder name",
            )
        first |= dict.fromkeys(cohorts, path)


def _check_names(cases: Sequence[Case]) -> None:
    counts = Counter(case.name for case in cases)
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        raise InputError(
            about="cases of the manifests",
            expected="names that differ when the cohort is put in front",
            got=f"{', '.join(repeated)} twice",
            advice="rename one of them in its manifest",
        )

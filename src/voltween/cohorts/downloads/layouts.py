"""Cases by the names of their files."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from voltween.cohorts.downloads.download import Contents, LoadedCase, SourceCase
from voltween.cohorts.downloads.scans import SourceScan, group_scans
from voltween.cohorts.downloads.sources import Source, natural_order


@dataclass(frozen=True)
class Layout:
    """One way in which a cohort lies on disk.

    The patterns are searched for in a scan's path without its suffix (of DICOM: in its
    folder's). Their group `person` names the case; `scan`, if it is there and not 1, is
    added.
    """

    image: str
    labels: str | None = None
    prefix: str = ""
    """What a case's name begins with."""
    axes: str = "LAS"
    """Of Analyze files, which do not say (see `read_pair`)."""
    placed: Callable[[LoadedCase], LoadedCase] = lambda loaded: loaded
    """What puts right a place that the files do not know."""
    split: str | None = None
    """Split of its cases, where it is not the cohort's."""


@dataclass(frozen=True, eq=False)
class _Case:
    person: str
    images: tuple[SourceScan, ...]
    labels: tuple[SourceScan, ...]
    layout: Layout


def find_by_layouts(
    source: Source, *, layouts: Sequence[Layout], expected: Sequence[str] = ()
) -> Contents:
    """Cases of the first layout that has their image; all else is a fault.

    Faults are labels without image and images without labels, where the layout has
    labels; scans that are there more than once; and missing ones of `expected`.
    """
    scans = group_scans(source.files)
    cases: dict[str, _Case] = {}
    for layout in layouts:
        found = _cases_of(scans, layout)
        cases |= {name: case for name, case in found.items() if name not in cases}
    faults = {name: _fault(name, case) for name, case in cases.items()}
    names = sorted(cases, key=natural_order)
    missing = _stretches(expected, cases)
    return Contents(
        tuple(_found(name, cases[name]) for name in names if not faults[name]),
        (
            *source.faults,
            *(faults[name] for name in names if faults[name]),
            *([f"missing: {', '.join(missing)}"] if missing and cases else []),
        ),
    )


def _stretches(expected: Sequence[str], there: Container[str]) -> list[str]:
    """Names that are not there, those in a row as 'first to last'."""
    rows = groupby(expected, key=lambda name: name in there)
    missing = [list(row) for is_there, row in rows if not is_there]
    return [row[0] if len(row) == 1 else f"{row[0]} to {row[-1]}" for row in missing]


def load_scans(
    image: SourceScan,
    labels: SourceScan | None,
    *,
    axes: str,
    placed: Callable[[LoadedCase], LoadedCase],
) -> LoadedCase:
    """The case that the scans make up.

    Raises:
        InputError: If one of them cannot be read.
    """
    read, remarks = image.image(axes=axes)
    label_map = labels.labels(axes=axes) if labels else None
    return placed(LoadedCase(read, label_map, remarks=remarks))


def _cases_of(scans: Iterable[SourceScan], layout: Layout) -> dict[str, _Case]:
    by_role: dict[str, dict[str, list[SourceScan]]] = {}
    persons: dict[str, str] = {}
    for role, pattern in (("image", layout.image), ("labels", layout.labels)):
        by_role[role] = defaultdict(list)
        for scan in scans:
            if pattern and (match := re.search(pattern, scan.stem)):
                name = _name(match, layout.prefix)
                persons[name] = match["person"]
                by_role[role][name].append(scan)
    return {
        name: _Case(
            person,
            tuple(by_role["image"].get(name, ())),
            tuple(by_role["labels"].get(name, ())),
            layout,
        )
        for name, person in persons.items()
    }


def _name(match: re.Match[str], prefix: str) -> str:
    scan = match.groupdict().get("scan") or "1"
    name = f"{prefix}{match['person']}"
    return name if scan.lstrip("0") == "1" else f"{name}-{scan}"


def _fault(name: str, case: _Case) -> str:
    """What is wrong with a case; empty if nothing is."""
    for role, scans in (("image", case.images), ("labels", case.labels)):
        if len(scans) > 1:
            places = ", ".join(scan.shown for scan in scans)
            return f"{name}: {role} found {len(scans)} times ({places}): keep one"
    if not case.images:
        return f"{name}: has labels ({case.labels[0].shown}) but no image"
    if case.layout.labels and not case.labels:
        return f"{name}: has an image ({case.images[0].shown}) but no labels"
    return ""


def _found(name: str, case: _Case) -> SourceCase:
    image = case.images[0]
    labels = case.labels[0] if case.labels else None
    load = partial(
        load_scans, image, labels, axes=case.layout.axes, placed=case.layout.placed
    )
    files = (*image.files, *(labels.files if labels else ()))
    person = f"{case.layout.prefix}{case.person}"
    sources = tuple(file.facts for file in files)
    return SourceCase(name, person, sources, load, split=case.layout.split)

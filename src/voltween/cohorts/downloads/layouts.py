"""Recognition of cases by the names of their files."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from voltween.cohorts.downloads.download import Contents, LoadedCase, SourceCase
from voltween.cohorts.downloads.scans import SourceScan, group_scans
from voltween.cohorts.downloads.sources import Source, natural_order


@dataclass(frozen=True)
class Layout:
    """One layout of a cohort on disk.

    The patterns are searched for in the path of a scan without its suffix, or of the
    folder of a DICOM series. Their group `person` names the case; their group `scan`
    is appended if it exists and is not 1.
    """

    image: str
    labels: str | None = None
    prefix: str = ""
    """Beginning of a case's name."""
    axes: str = "LAS"
    """Directions of Analyze files, which record none (see `io.read`)."""
    correct: Callable[[LoadedCase], LoadedCase] = lambda loaded: loaded
    """Corrects an orientation that the files do not record."""
    split: str | None = None
    """Split of its cases, if it differs from the recipe's."""


@dataclass(frozen=True, eq=False)
class _Case:
    person: str
    images: tuple[SourceScan, ...]
    labels: tuple[SourceScan, ...]
    layout: Layout


def find_by_layouts(
    source: Source, *, layouts: Sequence[Layout], expected: Sequence[str] = ()
) -> Contents:
    """The cases in a download, each by the first layout that fits, and all faults.

    Faults are labels without an image; images without labels, if the layout has
    labels; duplicate scans; and missing cases of `expected`.
    """
    scans = group_scans(source.files)
    cases: dict[str, _Case] = {}
    for layout in layouts:
        matches = _match_cases(scans, layout)
        cases |= {name: case for name, case in matches.items() if name not in cases}
    faults = {name: _fault(name, case) for name, case in cases.items()}
    names = sorted(cases, key=natural_order)
    return Contents(
        tuple(_source_case(name, cases[name]) for name in names if not faults[name]),
        source.faults,
        broken={name: faults[name] for name in names if faults[name]},
        expected=tuple(expected),
    )


def load_scans(
    image: SourceScan,
    labels: SourceScan | None,
    *,
    axes: str,
    correct: Callable[[LoadedCase], LoadedCase],
) -> LoadedCase:
    """Reads the scans of a case.

    Raises:
        InputError: If one of them cannot be read.
    """
    volume, remarks = image.read_image(axes=axes)
    label_map = labels.read_labels(axes=axes) if labels else None
    return correct(LoadedCase(volume, label_map, remarks=remarks))


def _match_cases(scans: Iterable[SourceScan], layout: Layout) -> dict[str, _Case]:
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
    """The fault of a case; empty if it is complete."""
    for role, scans in (("image", case.images), ("labels", case.labels)):
        if len(scans) > 1:
            places = ", ".join(scan.shown for scan in scans)
            return f"{name}: expected one {role}, got {len(scans)} ({places}): keep one"
    if not case.images:
        return f"{name}: expected an image, got labels alone ({case.labels[0].shown})"
    if case.layout.labels and not case.labels:
        return f"{name}: expected labels, got an image alone ({case.images[0].shown})"
    return ""


def _source_case(name: str, case: _Case) -> SourceCase:
    image = case.images[0]
    labels = case.labels[0] if case.labels else None
    load = partial(
        load_scans, image, labels, axes=case.layout.axes, correct=case.layout.correct
    )
    files = (*image.files, *(labels.files if labels else ()))
    person = f"{case.layout.prefix}{case.person}"
    sources = tuple(file.facts for file in files)
    return SourceCase(name, person, sources, load, split=case.layout.split)

"""Checks of a whole manifest: what contradicts itself, and what is hardly meant."""

import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from voltween.cohorts.manifest_row import SPLITS, Case
from voltween.cohorts.same_content import same_content
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.storage import exists

_SHOWN = 5  # faults or groups of cases in one line
_LEARNED = "train"


def check_rows(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Checks each row of a manifest by itself.

    Raises:
        InputError: If there are no rows, or one has no name, no image, an unknown split
            or a path that no file can have. One error names all faults.
    """
    faults = [fault for n, row in enumerate(rows, 1) for fault in _row_faults(n, row)]
    _raise(path, faults if rows else ["no case"])


def check_cases(
    cases: Sequence[Case],
    about: object,
    *,
    may_lack_files: bool = False,
    may_lack_scans: bool = False,
) -> None:
    """Checks that the cases of a manifest do not contradict each other.

    A `SuspiciousInputWarning` names cases that are one scan, label maps that are given
    for several scans, and subjects with scans in `train` and in another split.

    Raises:
        InputError: If a case is listed twice, the labels are the scan itself, one scan
            is said to be of two subjects, or a file is missing (unless it may be). One
            error names all faults.
    """
    scans = _groups(cases, "image")
    faults = [
        *([] if may_lack_files else _missing_files(cases)),
        *([] if may_lack_scans else _maps_as_scans(cases)),
        *_repeated_names(cases),
        *_contradictory_subjects(scans),
    ]
    _raise(about, faults)
    for text in _suspicions(cases, scans):
        warnings.warn(f"{about}: {text}", SuspiciousInputWarning, stacklevel=2)


def _raise(about: object, faults: Sequence[str]) -> None:
    if faults:
        raise InputError(
            about=about,
            expected="a manifest of existing files, each case listed once",
            got=f"{len(faults)} fault(s): {_listed(faults)}",
        )


def _row_faults(number: int, row: Mapping[str, str]) -> Iterator[str]:
    name = row["case"] or f"row {number}"
    if not row["case"].strip():
        yield f"{name}: no name in the column case"
    if not row["image"]:
        yield f"{name}: no image"
    if row["split"] not in SPLITS:
        yield f"{name}: split must be one of {SPLITS}, got {row['split']!r}"
    if any("\0" in cell for cell in row.values()):
        yield f"{name!r}: a zero byte, which no text has"


def _maps_as_scans(cases: Iterable[Case]) -> Iterator[str]:
    for case in cases:
        if case.labels is not None and case.labels.resolve() == case.image.resolve():
            yield f"{case.name}: labels and image are one file"


def _missing_files(cases: Iterable[Case]) -> Iterator[str]:
    for case in cases:
        yield from (f"{case.name}: no file {f}" for f in case.files if not exists(f))


def _repeated_names(cases: Iterable[Case]) -> Iterator[str]:
    """Names that occur twice, or are one name for some file systems."""
    alike = _by(cases, lambda case: unicodedata.normalize("NFC", case.name).casefold())
    for same in alike:
        names = [case.name for case in same]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"{name} is listed twice"
        if len(set(names)) > 1:
            listed = " and ".join(dict.fromkeys(names))
            yield f"{listed} are one name where case does not count, as in files"


def _contradictory_subjects(scans: Iterable[Sequence[Case]]) -> Iterator[str]:
    """Scans of two subjects within one cohort; two cohorts name one person by turns."""
    for same in scans:
        for cohort in _by(same, lambda case: case.cohort):
            # A case's own name as its subject states nothing: `prepare` writes it.
            subjects = sorted({c.subject for c in cohort if c.subject != c.name} - {""})
            if len(subjects) > 1:
                names = " and ".join(case.name for case in cohort)
                yield f"{names} are one scan, of the subjects {' and '.join(subjects)}"


def _suspicions(
    cases: Sequence[Case], scans: Sequence[Sequence[Case]]
) -> Iterator[str]:
    """Faults that do not stop the use of a manifest, one text per kind."""
    if scans:
        yield f"cases of one and the same image: {_listed(map(_with_splits, scans))}"
    one_image = {case.name: n for n, same in enumerate(scans) for case in same}
    maps = [
        same
        for same in _groups(cases, "labels")
        if len({one_image.get(case.name, case.name) for case in same}) > 1
        and len({case.person for case in same}) > 1  # not two scans of one place
    ]
    if maps:
        yield (
            "one and the same label map for different images: "
            f"{_listed(map(_with_splits, maps))}"
        )
    divided = [
        same
        for same in _by(cases, lambda case: case.subject)
        if same[0].subject and len({case.split == _LEARNED for case in same}) > 1
    ]
    if divided:
        named = (f"{same[0].subject}: {_with_splits(same)}" for same in divided)
        yield (
            f"subjects with scans in {_LEARNED} and in another split, which then says "
            f"nothing of new subjects: {_listed(named)}"
        )


def _groups(cases: Sequence[Case], role: str) -> list[list[Case]]:
    """The cases that have one image, or one label map, by its content or its path."""
    real: dict[Path, list[Case]] = defaultdict(list)
    for case in cases:
        path = getattr(case, role)
        if path is not None and exists(path):
            real[path.resolve()].append(case)
    of_content = same_content(real)
    paths = [
        *of_content,
        *([p] for p in real.keys() - {f for g in of_content for f in g}),
    ]
    groups = [[case for path in group for case in real[path]] for group in paths]
    order = {case.name: n for n, case in enumerate(cases)}
    several = [sorted(g, key=lambda c: order[c.name]) for g in groups if len(g) > 1]
    return sorted(several, key=lambda group: order[group[0].name])


def _by(cases: Iterable[Case], key: Callable[[Case], Hashable]) -> list[list[Case]]:
    """Groups of more than one case with the same key, in the order of the cases."""
    groups: dict[Hashable, list[Case]] = defaultdict(list)
    for case in cases:
        groups[key(case)].append(case)
    return [group for group in groups.values() if len(group) > 1]


def _with_splits(cases: Iterable[Case]) -> str:
    return " and ".join(f"{case.name} ({case.split})" for case in cases)


def _listed(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more

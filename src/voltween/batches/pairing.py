"""The pairs of a cohort: to one fixed scan, all, listed, or along a subject's time."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from voltween.batches.companions import Companions
from voltween.batches.names import names_of_paths, stem
from voltween.cohorts import Case, ordered_pairs
from voltween.errors import InputError
from voltween.storage import add_inputs, is_there, read_table

_SEPARATOR = ";"
_SIDES = ("fixed", "moving")


@dataclass(frozen=True)
class CohortPair:
    """Two scans of a cohort with their names and files."""

    fixed: str
    moving: str
    fixed_image: Path
    moving_image: Path
    companions: Companions

    @property
    def key(self) -> tuple[str, ...]:
        """The names by which no other pair is known, those of the moving scan first."""
        return self.moving, self.fixed


def pairs_to(
    cases: Sequence[Case], fixed: Path, companions: Companions
) -> list[CohortPair]:
    """Every case to one fixed scan: a file, a folder of DICOM, or a case's name.

    `companions` are the files of the fixed scan. The fixed scan is not registered to
    itself, if it is one of the cases.

    Raises:
        InputError: If the fixed scan or a file of it does not exist, or there is no
            other case.
    """
    atlas = _atlas(cases, fixed)
    _check_exist(companions)
    pairs = [
        _pair(atlas, case, companions)
        for case in cases
        if case.image.resolve() != atlas.image.resolve()
    ]
    return _some(pairs, "cases besides the fixed scan")


def pairs_of_all(cases: Sequence[Case]) -> list[CohortPair]:
    """All ordered pairs of different cases.

    Raises:
        InputError: If there are fewer than two cases.
    """
    by_name = {case.name: case for case in cases}
    pairs = ordered_pairs([*by_name])
    return _some(
        [_pair(by_name[fixed], by_name[moving]) for fixed, moving in pairs],
        "at least two cases",
    )


def pairs_in_time(cases: Sequence[Case]) -> list[CohortPair]:
    """Every later scan of a subject to the subject's first.

    The order is that of the manifest, or of the sessions of a BIDS data set.

    Raises:
        InputError: If the subjects are not known, or none has two scans.
    """
    if nameless := [case.name for case in cases if not case.subject]:
        raise InputError(
            about="--longitudinal",
            expected="a subject of every case: a manifest with the column subject, or "
            "a BIDS data set",
            got=f"none of {nameless[0]}",
        )
    by_subject: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        by_subject[case.cohort, case.subject].append(case)
    pairs = [
        _pair(first, later)
        for first, *others in by_subject.values()
        for later in others
    ]
    return _some(pairs, "a subject with at least two scans")


def is_list_of_pairs(path: Path) -> bool:
    """Whether a file is a CSV with columns fixed and moving."""
    if not path.is_file() or not path.name.lower().endswith(".csv"):
        return False
    return {*_SIDES} <= {*read_table(path, "a manifest or a list of pairs").columns}


def listed_pairs(path: Path) -> list[CohortPair]:
    """The pairs of a CSV with columns fixed and moving, which hold paths.

    Further columns are named as the options of `voltween register`: fixed_labels,
    moving_mask, ... Paths are relative to the file's folder; several in one cell are
    separated by semicolons.

    Raises:
        InputError: If the file cannot be used, has unknown columns of these kinds, or
            lists a pair twice.
    """
    table = read_table(path, "a list of pairs", _SIDES)
    _check_columns(path, table.columns)
    rows = [_paths(row, path, number) for number, row in enumerate(table.rows, 2)]
    names = names_of_paths(
        [file for fixed, moving, _ in rows for file in (fixed, moving)]
    )
    pairs = [CohortPair(names[f], names[m], f, m, c) for f, m, c in rows]
    counts = Counter((pair.fixed_image, pair.moving_image) for pair in pairs)
    if twice := [
        pair for pair in pairs if counts[pair.fixed_image, pair.moving_image] > 1
    ]:
        raise InputError(
            about=path,
            expected="every pair once",
            got=f"{twice[0].moving} to {twice[0].fixed} twice",
        )
    add_inputs([path, *(file for pair in pairs for file in files_of_pair(pair))])
    return _some(pairs, f"pairs in {path}")


def files_of_pair(pair: CohortPair) -> list[Path]:
    """All files of a pair."""
    others = [file for _, files in pair.companions.by_role() for file in files]
    return [pair.fixed_image, pair.moving_image, *others]


def _atlas(cases: Sequence[Case], fixed: Path) -> Case:
    """The fixed scan as a case: one of the cases with its files, or another scan."""
    for case in cases:
        if case.image.resolve() == fixed.resolve():
            return case
    if is_there(fixed):
        return Case(stem(fixed), fixed, None, None, split="")
    for case in cases:
        if case.name == str(fixed):
            return case
    raise InputError(
        about="--fixed",
        expected="a scan, or the name of a case",
        got=f"{fixed}, which is neither",
    )


def _check_exist(companions: Companions) -> None:
    """Checks the files of the fixed scan once, as every pair would fail without."""
    for role, files in companions.by_role():
        if missing := [file for file in files if not is_there(file)]:
            raise InputError(
                about=f"--{role.replace('_', '-')}",
                expected="a file",
                got=f"none at {missing[0]}",
            )


def _pair(
    fixed: Case, moving: Case, companions: Companions | None = None
) -> CohortPair:
    files = companions or Companions()
    return CohortPair(
        fixed.name,
        moving.name,
        fixed.image,
        moving.image,
        replace(
            files,
            fixed_labels=files.fixed_labels or fixed.labels,
            fixed_points=files.fixed_points or fixed.points,
            moving_labels=moving.labels,
            moving_points=moving.points,
        ),
    )


def _some(pairs: list[CohortPair], expected: str) -> list[CohortPair]:
    if not pairs:
        raise InputError(about="cohort", expected=expected, got="none")
    return pairs


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    """Refuses columns that look like files of a pair, and are none that is known."""
    known = {*_SIDES, *(field.name for field in fields(Companions))}
    prefixes = tuple(f"{side}_" for side in _SIDES)
    unknown = [c for c in columns if c.startswith(prefixes) and c not in known]
    if unknown:
        raise InputError(
            about=path,
            expected=f"columns among {', '.join(sorted(known))}",
            got=", ".join(unknown),
        )


def _paths(
    row: dict[str, str], path: Path, number: int
) -> tuple[Path, Path, Companions]:
    """The scans of a row, and the files that come with them."""
    if empty := [side for side in _SIDES if not row[side].strip()]:
        raise InputError(
            about=f"{path}, row {number}", expected=f"a {empty[0]} scan", got="none"
        )
    files: dict[str, Path | tuple[Path, ...]] = {}
    for field in fields(Companions):
        cells = row.get(field.name, "").split(_SEPARATOR)
        paths = tuple(path.parent / cell.strip() for cell in cells if cell.strip())
        is_list = field.default == ()
        if len(paths) > 1 and not is_list:
            raise InputError(
                about=f"{path}, row {number}, {field.name}",
                expected="one file",
                got=len(paths),
            )
        if paths:
            files[field.name] = paths if is_list else paths[0]
    fixed, moving = (path.parent / row[side].strip() for side in _SIDES)
    return fixed, moving, Companions(**files)  # type: ignore[arg-type]

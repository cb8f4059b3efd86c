"""The cases of a download that the user chooses, with the splits that the user sets."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from voltween.cohorts.choices import Choices, PreparationOptions
from voltween.cohorts.downloads.download import Contents
from voltween.errors import InputError

_SHOWN = 5  # names in one line


def select_cases(
    contents: Contents, choices: Choices, options: PreparationOptions
) -> Contents:
    """The contents with the chosen cases alone.

    A case of `--only` of an earlier run that is gone becomes a fault.

    Raises:
        InputError: If an option of this run names a case that is in no download.
    """
    for path, names in (
        (options.only, choices.only or ()),
        (options.without, choices.without),
        (options.splits, choices.splits or {}),
    ):
        if path is not None:
            _check_names(path, names, contents)
    gone = [name for name in choices.only or () if name not in contents.names]
    faults = [f"{name}: expected a case of the download, got none" for name in gone]
    chosen = set(contents.names if choices.only is None else choices.only)
    chosen -= set(choices.without)
    return replace(
        contents,
        cases=tuple(case for case in contents.cases if case.name in chosen),
        faults=(*contents.faults, *faults),
        broken={n: fault for n, fault in contents.broken.items() if n in chosen},
        left_out=frozenset(contents.names - chosen),
    )


def _check_names(path: Path, names: Collection[str], contents: Contents) -> None:
    if unknown := [name for name in names if name not in contents.names]:
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        raise InputError(
            about=path,
            expected=f"names of cases, such as {min(contents.names, default='none')}",
            got=", ".join(unknown[:_SHOWN]) + more,
            advice="write them as in cases.csv",
        )

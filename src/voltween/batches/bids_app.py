"""Parts of a BIDS App: the check of a data set, and the pairs of some participants."""

from collections.abc import Sequence
from pathlib import Path

from voltween.batches.bids_input import entities_of, is_bids, read_bids
from voltween.batches.work import Work
from voltween.errors import InputError
from voltween.storage import read_json

_DESCRIPTION = "dataset_description.json"
_REQUIRED = ("Name", "BIDSVersion")
_PREFIX = "sub-"
_SHOWN = 8


def check_data_set(folder: Path) -> None:
    """Checks the description of a BIDS data set and the names of its T1w scans.

    Raises:
        InputError: If one of them is not as BIDS has it.
    """
    advice = "see bids-specification.readthedocs.io, or --skip-bids-validation"
    if not (folder / _DESCRIPTION).is_file():
        raise InputError(
            about=folder,
            expected=f"a BIDS data set, with {_DESCRIPTION}",
            got="a folder without it" if folder.is_dir() else "no such folder",
            advice=advice,
        )
    description = read_json(folder / _DESCRIPTION, "the description of a data set")
    if missing := [name for name in _REQUIRED if not description.get(name)]:
        raise InputError(
            about=folder / _DESCRIPTION,
            expected=f"the fields {' and '.join(_REQUIRED)}",
            got=f"none of {', '.join(missing)}",
            advice=advice,
        )
    read_bids(folder)


def check_has_scans(folder: Path) -> None:
    """Checks that there are T1-weighted scans.

    Raises:
        InputError: If there are none.
    """
    if not is_bids(folder):
        raise InputError(
            about=folder,
            expected="T1-weighted scans, sub-*/[ses-*/]anat/*_T1w.nii.gz",
            got="none",
        )


def works_of(works: Sequence[Work], participants: Sequence[str]) -> list[Work]:
    """The pairs whose moving scan is one of these participants'; all, if none is named.

    Args:
        works: The pairs of a BIDS data set.
        participants: Labels, with or without `sub-`.

    Raises:
        InputError: If a participant has no pair.
    """
    wanted = [label.removeprefix(_PREFIX) for label in participants]
    subjects = [entities_of(work.moving)["sub"] for work in works]
    if strangers := [label for label in wanted if label not in subjects]:
        raise InputError(
            about="--participant-label",
            expected=f"labels of {', '.join(sorted(set(subjects))[:_SHOWN])}"
            + ", ..." * (len(set(subjects)) > _SHOWN),
            got=", ".join(strangers[:_SHOWN]),
            advice="a participant needs a scan to be registered",
        )
    return [
        work
        for work, subject in zip(works, subjects, strict=True)
        if not wanted or subject in wanted
    ]


def name_of_run(participants: Sequence[str]) -> str:
    """The name of a run that does these participants alone; empty for all of them."""
    labels = sorted({label.removeprefix(_PREFIX) for label in participants})
    return "-".join(["participants", *labels]) if labels else ""

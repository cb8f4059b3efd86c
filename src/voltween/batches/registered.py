"""Registrations of many scans to one image, of which some may be left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween.batches.cohort import plan_cohort
from voltween.batches.companions import Companions
from voltween.batches.options import RegistrationOptions
from voltween.batches.pairing import CohortPair
from voltween.batches.tables import PairRow
from voltween.batches.work import Work
from voltween.cohorts import Case
from voltween.registration import OUTPUTS, RECORD
from voltween.storage import read_json

Registering = Callable[[Sequence[Work], Path], list[PairRow]]
"""Registers what is missing of a cohort in a folder; returns the rows of all pairs."""


@dataclass(frozen=True)
class Registered:
    """The scans that were registered to one image, and those that are left out."""

    transforms: Mapping[str, Path]
    """Files of the transforms from the image to the scans, by name."""
    verdicts: Mapping[str, str]
    """Grades of their verdicts, by name."""
    left_out: Mapping[str, str]
    """Reasons, by name."""


def register_cases(
    cases: Sequence[Case],
    fixed: Path,
    folder: Path,
    options: RegistrationOptions,
    registering: Registering,
    *,
    is_one_contrast: bool,
) -> Registered:
    """Registers all cases to one image in a folder of their own.

    Left out are those that cannot be registered or whose verdict is failed, and, if all
    are to have one contrast, those of which bright and dark are exchanged.

    Raises:
        InputError: If options cannot be used.
        OutputError: If the folder cannot be written to.
    """
    pairs = [
        CohortPair("image", case.name, fixed, case.image, Companions())
        for case in cases
    ]
    transforms, verdicts, left_out = {}, {}, {}
    rows = registering(plan_cohort(pairs, options), folder) if pairs else []
    for row in sorted(rows, key=lambda row: row.name):
        if reason := _reason(row, folder, is_one_contrast=is_one_contrast):
            left_out[row.moving] = reason
        else:
            path = folder / row.folder / OUTPUTS["transform"].file
            transforms[row.moving], verdicts[row.moving] = path, row.grade
    return Registered(transforms, verdicts, left_out)


def _reason(row: PairRow, folder: Path, *, is_one_contrast: bool) -> str:
    """The reason why a scan is left out; empty if it is not."""
    if row.state != "done":
        return row.error or "not registered"
    if row.grade == "failed":
        return f"verdict failed: {row.scores.get('reasons', '')}"
    record = read_json(folder / row.folder / RECORD, "a record of a registration")
    if is_one_contrast and record["verdict"]["evidence"]["sign"] < 0:
        return "bright and dark are exchanged: another modality?"
    return ""

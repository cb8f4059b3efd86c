"""The choices of a preparation: the user's options, and those of the run before.

A prepared folder records the choices in force, so that repeating the command without
an option keeps it.
"""

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from voltween.cohorts.downloads.download import Download, IntensityRule, Region
from voltween.cohorts.name_files import read_names, read_splits
from voltween.errors import InputError
from voltween.storage import read_json, write_if_changed

RECORD = "options.json"
_DEFAULT_VAL_SHARE = 0.1
_REGIONS: dict[str, Region] = {"liver": "liver", "brain": "head", "none": "whole"}
_EXPOSURES: dict[str, IntensityRule] = {
    "ct": "Hounsfield units, matched",
    "mr": "foreground to 0..1",
}


@dataclass(frozen=True)
class PreparationOptions:
    """The user's choices for a preparation.

    A folder that was prepared before keeps its choices: an option that is left out is
    as in the run before. Delete options.json in the folder to forget them all.

    Raises:
        InputError: If the share is negative, or 1 or more.
    """

    region: Literal["liver", "brain", "none"] | None = None
    """Recipe `folder` only, which needs it: what scans are cropped to. Without labels,
    the liver is found by thresholds, in CT only."""
    exposure: Literal["ct", "mr"] | None = None
    """Recipe `folder` only, which needs it: how intensities are made comparable. ct:
    Hounsfield units with matched histograms; mr: foreground to 0..1."""
    reference: Path | None = None
    """CT whose histogram all scans are matched to, used as it is: an image of a cohort
    that is prepared already. Default: the first case. MR needs none."""
    points: Path | None = None
    """Folder of landmarks, one file per case and rater: NAME.csv, or RATER/NAME.csv to
    average several raters. NAME is the case's; positions are mm of the prepared
    images. .fcsv and .mrk.json are read, too."""
    strip: Path | None = None
    """Folder of masks, NAME.nii.gz or another format, on the grids of the scans: MR is
    set to 0 outside its mask, such as a head outside its brain."""
    only: Path | None = None
    """Text file with one case per line: all others are left out."""
    without: Path | None = None
    """Text file with one case per line: these are left out."""
    splits: Path | None = None
    """CSV with columns case and split: sets the split of the cases it lists. An edited
    cases.csv is such a file."""
    val_share: float | None = None
    """Share of the persons with `train` cases to set aside as `val`, for the choice of
    the best checkpoint; at least two persons, or 0 for none. The draw depends only on
    the persons' names and is always the same. 0.1 if it was never given."""

    def __post_init__(self) -> None:
        if self.val_share is not None and not 0 <= self.val_share < 1:
            raise InputError(
                about="val_share",
                expected="a number from 0 to below 1",
                got=self.val_share,
            )


@dataclass(frozen=True)
class Choices:
    """The choices in force. Lists are those of the files, which may be gone by now."""

    recipe: str
    region: str | None = None
    exposure: str | None = None
    reference: str | None = None
    points: str | None = None
    strip: str | None = None
    only: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    splits: dict[str, str] | None = None
    val_share: float = _DEFAULT_VAL_SHARE

    def changed_by(self, options: PreparationOptions) -> "Choices":
        """The choices with every option that is given in place of the earlier one.

        Raises:
            InputError: If a list cannot be read.
        """
        changes: dict[str, Any] = {}
        for name in ("region", "exposure", "val_share"):
            changes[name] = getattr(options, name)
        for name in ("reference", "points", "strip"):
            path = getattr(options, name)
            changes[name] = None if path is None else str(path.absolute())
        changes["only"] = read_names(options.only) if options.only else None
        changes["without"] = read_names(options.without) if options.without else None
        changes["splits"] = read_splits(options.splits) if options.splits else None
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given)

    def kept_under(self, options: PreparationOptions) -> list[str]:
        """The options in force that are not given again, as on the command line."""
        defaults = Choices(self.recipe)
        return [
            f"--{field.name.replace('_', '-')}"
            for field in fields(options)
            if getattr(options, field.name) is None
            and getattr(self, field.name) != getattr(defaults, field.name)
        ]

    def specify(self, download: Download) -> Download:
        """The recipe with the chosen region and intensity rule.

        Raises:
            InputError: If an option is missing, or does not apply to the recipe.
        """
        for name, known in (("region", _REGIONS), ("exposure", _EXPOSURES)):
            choice = getattr(self, name)
            if download.is_open and choice is None:
                raise InputError(
                    about=f"--{name}",
                    expected=f"one of {', '.join(known)} for the recipe folder",
                    got="none",
                )
            if not download.is_open and choice is not None:
                raise _not_applicable(f"--{name}", "the recipe folder", download)
        if self.region is not None and self.exposure is not None:
            download = replace(
                download,
                region=_REGIONS[self.region],
                intensity_rule=_EXPOSURES[self.exposure],
            )
        is_ct = download.intensity_rule == _EXPOSURES["ct"]
        if self.reference is not None and not is_ct:
            raise _not_applicable(
                "--reference", "a cohort of CT, whose histograms are matched", download
            )
        if self.strip is not None and is_ct:
            raise _not_applicable("--strip", "a cohort of MR", download)
        return download


def read_choices(folder: Path, recipe: str) -> Choices:
    """The choices of the last run in the folder; the defaults if there was none.

    Raises:
        InputError: If the folder holds another recipe's cases, or a damaged record.
    """
    path = folder / RECORD
    if not path.exists():
        return Choices(recipe)
    try:
        choices = _parse(read_json(path, "the options of the last preparation"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            about=path,
            expected="the options of the last preparation",
            got="another kind of file",
            advice="delete it, and give the options again",
        ) from error
    if choices.recipe != recipe:
        raise InputError(
            about=folder,
            expected=f"a folder for {recipe}",
            got=f"one in which {choices.recipe} is prepared",
            advice="give another --out, or delete its content",
        )
    return choices


def write_choices(choices: Choices, folder: Path) -> None:
    """Records the choices in the folder.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    write_if_changed(folder / RECORD, json.dumps(asdict(choices), indent=1))


def _parse(record: dict[str, Any]) -> Choices:
    """Choices from their record.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: If it has other entries.
    """
    for name in ("only", "without"):
        record[name] = None if record[name] is None else tuple(map(str, record[name]))
    if set(record) != {field.name for field in fields(Choices)}:
        raise KeyError("entries of another version")
    choices = Choices(**record)
    if not isinstance(choices.splits, dict | None):
        raise TypeError("another kind of splits")
    texts = [
        *(choices.recipe, choices.region, choices.exposure, choices.reference),
        *(choices.points, choices.strip, *(choices.splits or {}).values()),
    ]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise TypeError("another kind of entry")
    PreparationOptions(val_share=float(choices.val_share))  # checks its range
    return choices


def _not_applicable(option: str, expected: str, download: Download) -> InputError:
    return InputError(
        about=option,
        expected=expected,
        got=download.name,
        advice="leave the option out",
    )

"""The table of doors: commands and functions, their files, and what they write."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from doors import commands

FREE = {"out", "kind.out", "hardware.cache", "cache"}
"""Options of paths that are no inputs."""


@dataclass(frozen=True)
class Door:
    """A place where a file enters the package."""

    name: str
    kind: str
    """Kind of file, a key of `files.BAD`."""
    enter: Callable[[Path, Path], object]
    """Runs the command in a folder with a file; a function returns what it reads."""
    out: str = ""
    """A file that the command writes; empty if it writes none."""
    exempt: tuple[str, str] = ("", "")
    """A guard that does not concern it, and the reason."""
    alias: str = ""
    """The name that the file gets at this door; empty if it keeps its own."""


def _option(make, option, kind, out):
    """The door of an option of a command."""

    def enter(folder, file):
        commands.run(commands.with_option(make(folder), option, file))

    name = f"{make.__name__.replace('_', ' ')}: `{option.rpartition('.')[2]}`"
    return Door(name, kind, enter, out)


def _options(make, out, **kinds):
    return [_option(make, n.replace("__", "."), k, out) for n, k in kinds.items()]


def _listed(make, out, *roles, case):
    """The doors of the files that a manifest lists."""

    def door(role):
        def enter(folder, file):
            _list_file(folder / "cases.csv", case, role, file)
            commands.run(make(folder))

        kind = "points" if role == "points" else role
        name = f"{make.__name__.replace('_', ' ')}: {role} in the manifest"
        return Door(name, kind, enter, out)

    return [door(role) for role in roles]


def _list_file(manifest, case, role, file):
    with manifest.open(newline="") as text:
        rows = list(csv.DictReader(text))
    row = next(row for row in rows if row["case"] == case)
    row |= {"image": "image.nii.gz", "labels": "", role: str(file)}
    columns = dict.fromkeys([*rows[0], role])
    with manifest.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _prepared(role):
    """The door of a scan, or its labels, that `prepare` finds in its folder."""

    def enter(folder, file):
        place = folder / "in" / f"{role}s".replace("ss", "s")
        place.mkdir(parents=True, exist_ok=True)
        (folder / "in" / "images").mkdir(exist_ok=True)
        if role != "image":
            shutil.copy(
                folder / "fixed.nii.gz", folder / "in" / "images" / "anna.nii.gz"
            )
        suffix = "".join(file.suffixes)
        file.rename(place / f"anna{suffix}")
        commands.run(commands.prepare(folder))

    exempt = "folder", "a folder may be a DICOM series, or hold cases"
    name = f"prepare: {role} in the folder"
    return Door(name, role, enter, exempt=exempt, alias="anna")


def _function(name, kind):
    """The door of a function of Python."""

    def enter(folder, file):
        import voltween

        return getattr(voltween, name)(file)

    return Door(f"`voltween.{name}`", kind, enter)


def _of_any_count(doors):
    """Doors that take 4D images, of which every volume has the same grid."""
    exempt = "several", "every volume of a 4D image is resampled, or has the same grid"
    takes = ("image", "labels")
    return [replace(d, exempt=exempt) if d.kind in takes else d for d in doors]


_MOVED = "out/moved.nii.gz"
_PAIRS = "out/pairs.csv"
DOORS = (
    *_options(
        commands.register,
        _MOVED,
        fixed="image",
        moving="image",
        companions__fixed_labels="labels",
        companions__moving_labels="labels",
        registration__structures="structures",
        companions__initial="transform",
        registration__model="model",
        companions__fixed_mask="labels",
        companions__moving_mask="labels",
        companions__fixed_points="points",
        companions__moving_points="points",
        companions__fixed_channels="image",
        companions__moving_channels="image",
    ),
    *_of_any_count(
        [
            *_options(
                commands.apply_to_image,
                "out.nii.gz",
                transform="transform",
                input="image",
                onto="image",
            ),
            *_options(commands.apply_to_labels, "out.nii.gz", input="labels"),
            *_options(
                commands.convert,
                "out.nii.gz",
                transform="transform",
                fixed="image",
                moving="image",
            ),
            *_options(
                commands.jacobian, "out.nii.gz", transform="transform", onto="image"
            ),
        ]
    ),
    *_options(commands.apply_to_points, "out.csv", input="points"),
    *_options(commands.cohort, _PAIRS, cases="manifest"),
    *_options(
        commands.bids_app,
        "out/dataset_description.json",
        template="image",
        template_labels="labels",
        registration__structures="structures",
        registration__model="model",
    ),
    *_options(
        commands.template, "out/template.nii.gz", cases="manifest", start="image"
    ),
    *_options(commands.segment, "out.nii.gz", scan="image", atlases="manifest"),
    *_options(commands.align, "out/cases.csv", manifest="manifest"),
    *_listed(commands.align, "out/cases.csv", "image", "labels", case="case0"),
    *map(_prepared, ("image", "labels")),
    *_options(
        commands.prepare,
        "",
        options__only="names",
        options__without="names",
        options__splits="splits",
    ),
    *_options(commands.prepare_ct, "", options__reference="image"),
    *_options(commands.split, "out.csv", manifest="manifest"),
    *_options(commands.join, "", manifests="manifest"),
    *_options(commands.plan, "out.toml", manifest="manifest", like="model"),
    *_listed(commands.plan, "out.toml", "image", case="case0"),
    *_options(
        commands.train,
        "out/best.safetensors",
        source="manifest",
        training__start_from="model",
    ),
    *_listed(commands.train, "out/best.safetensors", "image", "labels", case="case0"),
    *_options(
        commands.train_by_plan,
        "out/best.safetensors",
        source="plan",
        fine_tune="model",
    ),
    *_options(
        commands.evaluate,
        _PAIRS,
        manifest="manifest",
        model="model",
        selection__pair_list="pairs",
    ),
    *_listed(commands.evaluate, _PAIRS, "image", "labels", "points", case="case2"),
    *_options(
        commands.compare, _PAIRS, manifest="manifest", selection__pair_list="pairs"
    ),
    *_listed(commands.compare, _PAIRS, "image", "labels", "points", case="case2"),
    *_options(commands.experiment, "", table="table", manifest="manifest"),
    *_options(
        commands.tweening,
        "out.png",
        kind__fixed="image",
        kind__moving="image",
        kind__fixed_labels="labels",
        kind__moving_labels="labels",
        kind__model="model",
    ),
    *_options(commands.sections, "out.png", kind__manifest="manifest"),
    *_options(commands.import_rcn, "out.safetensors", checkpoint="checkpoint"),
    _function("read", "image"),
    _function("read_labels", "labels"),
    _function("read_transform", "transform"),
    _function("read_points", "points"),
    _function("load_model", "model"),
)
NOT_OPENED = {
    "bids app: `bids_dir`": "a data set, whose scans are read as those of a cohort",
    "prepare: `source`": "its scans and labels are doors of their own",
    "prepare: `points`": "a folder, of which `voltween.read_points` reads the files",
    "prepare: `strip`": "a folder of label maps, read as those of `source`",
    "compare: `aligned`": "a folder that `align` wrote",
    "segment: `registrations`": "a folder that `segment` wrote",
    "figures: `folder`": "a folder that `compare` wrote",
    "card: `folder`": "a folder that `train` wrote",
    "figures: `runs`": "folders that `train` wrote",
}
"""Options that name folders."""

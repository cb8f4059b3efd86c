"""Tasks of Learn2Reg and of the Medical Segmentation Decathlon, by dataset.json."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from voltween.cohorts.downloads.download import (
    Contents,
    Download,
    LoadedCase,
    SourceCase,
)
from voltween.cohorts.downloads.layouts import load_scans
from voltween.cohorts.downloads.scans import SourceScan, group_scans
from voltween.cohorts.downloads.sources import Source, SourceFile
from voltween.cohorts.pairs import Pair
from voltween.errors import InputError
from voltween.spatial import Points
from voltween.storage import naming, parsed_json

_POINTS = ("landmarks", "keypoints")  # in order of preference: manual ones first
_PERSON = re.compile(r"(.+_\d{4})_\d{4}")  # NAME_0001_0000: person and scan


@dataclass(frozen=True, eq=False)
class _Task:
    """The content of a dataset.json and its files, by path relative to its folder."""

    facts: Mapping[str, Any]
    scans: Mapping[str, SourceScan]
    files: Mapping[str, SourceFile]

    def rows(self, key: str) -> list[dict[str, str]]:
        """Entries of a list of scans; a plain path is an image.

        Raises:
            InputError: If an entry names no image.
        """
        entries = [
            {"image": e} if isinstance(e, str) else e for e in self._entries(key)
        ]
        return [e for e in entries if _check_path(e, "image", key)]

    def pairs(self, key: str) -> tuple[Pair, ...]:
        """Names of the cases of a list of pairs, (fixed, moving).

        Raises:
            InputError: If an entry does not name two images.
        """
        return tuple(
            (_stem(e["fixed"]), _stem(e["moving"]))
            for e in self._entries(key)
            if _check_path(e, "fixed", key) and _check_path(e, "moving", key)
        )

    def _entries(self, key: str) -> Any:
        return self.facts.get(key) or []


def find_listed(source: Source) -> Contents:
    """The cases that the download's dataset.json lists.

    Raises:
        InputError: If there is not exactly one such file, or it has other content.
    """
    task = _task(source)
    val, test = task.pairs("registration_val"), task.pairs("registration_test")
    split_of = {name: "test" for pair in test for name in pair}
    split_of |= {name: "val" for pair in val for name in pair}
    split_of_list = {"training": "train" if val else None, "test": "test"}
    cases: dict[str, SourceCase] = {}
    faults: list[str] = []
    broken: dict[str, str] = {}
    for key, split in split_of_list.items():
        for row in task.rows(key):
            name = _stem(row["image"])
            try:
                case = _case(task, row)
            except InputError as error:
                broken[name] = str(error.add_context(name))
                continue
            if name in cases:
                faults.append(f"{name}: is listed twice in dataset.json: keep one")
            cases[name] = replace(case, split=split_of.get(name, split))
    pairs = tuple(pair for pair in val if set(pair) <= set(cases))
    return Contents(tuple(cases.values()), (*source.faults, *faults), pairs, broken)


def _check_path(entry: Any, role: str, key: str) -> bool:
    """True if the entry has a path.

    Raises:
        InputError: If it has none.
    """
    if isinstance(entry, dict) and isinstance(entry.get(role), str):
        return True
    raise InputError(
        about="dataset.json", expected=f"a path {role!r} in {key}", got=repr(entry)
    )


def _task(source: Source) -> _Task:
    lists = [f for f in source.files if f.name.endswith("dataset.json")]
    if len(lists) != 1:
        raise InputError(
            about=source.path,
            expected="one dataset.json",
            got=len(lists),
            advice="give the folder of one task",
        )
    with lists[0].open() as file, naming(lists[0].shown):
        facts = parsed_json(file.read(), "a JSON object")
    folder = PurePosixPath(lists[0].name).parent
    return _Task(
        facts,
        {_under(folder, s.stem): s for s in group_scans(source.files)},
        {_under(folder, f.name): f for f in source.files},
    )


def _case(task: _Task, row: Mapping[str, str]) -> SourceCase:
    stem = _path(row["image"])
    image = task.scans.get(stem)
    if image is None:
        raise InputError(expected=f"its image {row['image']}", got="no such file")
    named = row.get("label")
    labels = task.scans.get(_path(named or stem.replace("images", "labels", 1)))
    if named and labels is None:
        raise InputError(expected=f"its labels {named}", got="no such file")
    points = _points_file(task, stem)
    files = [*image.files, *(labels.files if labels else ()), *filter(None, [points])]
    person = _PERSON.fullmatch(_stem(row["image"]))
    return SourceCase(
        _stem(row["image"]),
        person[1] if person else _stem(row["image"]),
        tuple(file.facts for file in files),
        partial(_load, image, labels, points),
    )


def _load(
    image: SourceScan, labels: SourceScan | None, points: SourceFile | None
) -> LoadedCase:
    loaded = load_scans(image, labels, axes="LAS", correct=lambda loaded: loaded)
    if points is None:
        return loaded
    with points.open() as file:
        try:
            voxels = np.loadtxt(file, delimiter=",", ndmin=2)
            mm = loaded.image.grid.voxel_to_world(voxels)
        except ValueError as error:
            raise InputError(
                about=points.shown,
                expected="rows of three numbers, in voxels",
                got=error,
            ) from error
    folder = PurePosixPath(points.name).parent.name
    return replace(
        loaded,
        points=Points(mm),
        remarks=(*loaded.remarks, f"points: voxels of {folder}, turned to world mm"),
    )


def _points_file(task: _Task, stem: str) -> SourceFile | None:
    paths: Iterable[str] = (
        stem.replace("images", kind, 1) + ".csv" for kind in _POINTS
    )
    return next((task.files[path] for path in paths if path in task.files), None)


def _under(folder: PurePosixPath, path: str) -> str:
    """The path relative to the folder, if it lies in the folder."""
    return path.removeprefix(f"{folder}/") if str(folder) != "." else path


def _path(listed: str) -> str:
    """A path of dataset.json without its suffix, like the stem of a scan."""
    return re.sub(r"\.(nii|nii\.gz|mha|nrrd)$", "", listed.removeprefix("./"))


def _stem(listed: str) -> str:
    return PurePosixPath(_path(listed)).name


LEARN2REG = Download(
    name="learn2reg",
    title="Any task of Learn2Reg or of the Medical Segmentation Decathlon",
    origin="https://learn2reg.grand-challenge.org/Datasets, http://medicaldecathlon.com",
    disk=(
        "dataset.json (or NAME_dataset.json)    training, test, registration_val",
        "imagesTr/NAME_0001_0000.nii.gz         image",
        "labelsTr/NAME_0001_0000.nii.gz         labels, optional",
        "landmarksTr/NAME_0001_0000.csv         or keypointsTr: points in voxels",
        "keypoints01Tr/, keypoints02Tr/         not used: they belong to pairs",
    ),
    find=find_listed,
    region="whole",
    intensity_rule="as stored",
    split="train",
)

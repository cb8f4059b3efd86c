"""The .h5 files of the repository Recursive-Cascaded-Networks: arrays, no headers."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from voltween.cohorts.downloads.sources import Source, SourceFile
from voltween.errors import InputError
from voltween.process import require
from voltween.spatial import Grid, Image, LabelMap, Points

_LISTS = ("brain.json", "liver.json")
_LIVER = 255  # the authors' masks are 0 and 255
_PARTS = ("volume", "segmentation", "point")
_ASSUMED = "array without header: axes taken as R, A, S and voxels as 1 mm"


@dataclass(frozen=True)
class _Group:
    """A group of an .h5 file with a `volume`, and maybe `segmentation` and `point`."""

    file: SourceFile
    key: str

    @property
    def name(self) -> str:
        stem = PurePosixPath(self.file.name).stem
        return f"{stem}-{self.key.replace('/', '_')}"

    def arrays(self) -> dict[str, np.ndarray]:
        """Reads the arrays as stored.

        Raises:
            InputError: If they cannot be read.
        """
        with _open(self.file) as h5:
            group = h5[self.key]
            return {part: group[part][()] for part in _PARTS if part in group}

    def facts(self) -> dict[str, Any]:
        arrays = self.arrays()
        digest = hashlib.sha256()
        for part, array in arrays.items():
            digest.update(f"{part} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return {
            "file": f"{self.file.shown}/{self.key}",
            "bytes": sum(array.nbytes for array in arrays.values()),
            "sha256": digest.hexdigest(),
        }


def find_groups(source: Source) -> Contents:
    """The groups with a volume in all .h5 files, with the split of the JSON lists.

    Raises:
        MissingPackageError: If h5py is not installed.
    """
    require("h5py", extra="cohorts", purpose="the recipe rcn")
    subsets = _subsets(source)
    cases: list[SourceCase] = []
    faults = [*source.faults]
    for file in (f for f in source.files if f.name.endswith(".h5")):
        if file.member is not None:
            faults.append(
                f"{file.shown}: expected an unpacked .h5 file, got a zip: unpack it"
            )
            continue
        try:
            keys = _keys(file)
        except InputError as error:
            faults.append(str(error))
            continue
        is_test = PurePosixPath(file.name).stem.endswith("_val")
        for group in (_Group(file, key) for key in keys):
            listed = subsets.get((PurePosixPath(file.name).name, group.key))
            if subsets and listed is None:
                continue  # the authors' lists omit it
            split = listed or ("test" if is_test else None)
            load = partial(_load, group)
            cases.append(
                SourceCase(group.name, group.name, (group.facts,), load, split)
            )
    return Contents(tuple(cases), tuple(faults))


def _load(group: _Group) -> LoadedCase:
    arrays = group.arrays()
    volume = arrays["volume"]
    if volume.ndim != 3:
        raise InputError(
            about="volume", expected="three axes", got=f"shape {volume.shape}"
        )
    affine = np.eye(4)
    affine[:3, 3] = -(np.array(volume.shape) - 1) / 2
    grid = Grid(volume.shape, affine)
    labels = arrays.get("segmentation")
    if labels is not None and labels.max() == _LIVER:
        labels = (labels > _LIVER // 2).astype(np.uint8)
    points, remarks = _points(arrays, grid)
    return LoadedCase(
        Image(volume, grid),
        None if labels is None else LabelMap(labels, grid),
        points,
        (_ASSUMED, *remarks),
    )


def _points(
    arrays: Mapping[str, np.ndarray], grid: Grid
) -> tuple[Points | None, tuple[str, ...]]:
    """Landmarks in mm; none if one is missing (-1), because their order counts."""
    voxels = arrays.get("point")
    if voxels is None:
        return None, ()
    if (voxels < 0).any():
        return None, ("a landmark is missing: none are taken",)
    return Points(grid.voxel_to_world(voxels.astype(float))), ()


def _subsets(source: Source) -> dict[tuple[str, str], str]:
    """Split by (.h5 file, group), from the authors' liver.json or brain.json.

    Raises:
        InputError: If a file of this name has other content.
    """
    split_of: dict[tuple[str, str], str] = {}
    for file in source.files:
        if PurePosixPath(file.name).name not in _LISTS:
            continue
        with file.open() as text:
            try:
                facts = json.load(text)
                paths = {k: f["path"] for k, f in facts["files"].items()}
                subsets = facts["subsets"]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    about=file.shown,
                    expected="the authors' list of files and subsets",
                    got="other content",
                    advice="remove it, or download it again",
                ) from error
        for subset, entries in subsets.items():
            for entry in entries:
                first, _, rest = entry.partition("/")
                path, key = (paths[first], rest) if first in paths else ("", entry)
                path = path or paths.get(
                    "/", ""
                )  # "/": the entry is the whole group name
                split = "train" if subset.endswith("train") else "test"
                split_of[PurePosixPath(path).name, key] = split
    return split_of


def _keys(file: SourceFile) -> list[str]:
    """Paths of all groups with a volume."""
    import h5py

    keys: list[str] = []

    def add_group(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "volume" in item:
            keys.append(name)

    with _open(file) as h5:
        h5.visititems(add_group)
    return sorted(keys)


@contextmanager
def _open(file: SourceFile) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(file.path, "r") as h5:
            yield h5
    except (OSError, KeyError) as error:
        raise InputError(
            about=file.shown,
            expected="an .h5 file",
            got="one that is damaged or cut short",
        ) from error


RCN = Download(
    name="rcn",
    title="The VTN authors' preprocessed liver CT and brain MR, 128^3 arrays",
    origin="https://github.com/microsoft/Recursive-Cascaded-Networks, Datasets",
    disk=(
        "lpba_val.h5, sliver_val.h5, lits_val.h5, lspig_val.h5     test",
        "adni.h5, abide.h5, abidef.h5, adhd.h5, msd_dataset.h5, youyi_liver.h5   train",
        "  GROUP/volume         128^3, 0..255",
        "  GROUP/segmentation   liver 255, or the structures of LPBA40",
        "  GROUP/point          6 x 3, voxels; -1 where there is none",
        "brain.json, liver.json    optional: select and split the cases",
    ),
    find=find_groups,
    region="whole",
    intensity_rule="as stored",
    split="train",
)

"""The .h5 files of the repository Recursive-Cascaded-Networks: arrays, no headers.

The authors' brain.json names an atlas, the fixed image of all their pairs (one of 40
brains of LPBA40, hence 39 pairs). Their pigs of LSPIG are listed as neighbors, each
before and after gas is insufflated, and registered in both directions (34 pairs).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np

from voltween.cohorts.downloads.download import (
    Contents,
    Download,
    LoadedCase,
    SourceCase,
)
from voltween.cohorts.downloads.sources import Source, SourceFile
from voltween.cohorts.pairs import Pair, atlas_pairs
from voltween.errors import InputError
from voltween.io import hdf5_numbers, open_hdf5
from voltween.spatial import Grid, Image, LabelMap, Points
from voltween.storage import bytes_digest, naming, parsed_json

_LISTS = ("brain.json", "liver.json")
_LIVER = 255  # the authors' masks are 0 and 255
_PAIRED = "lspig"  # beginning of the subset whose neighbors form pairs
_PARTS = ("volume", "segmentation", "point")
_ASSUMED = "array without header: axes taken as R, A, S and voxels as 1 mm"


@dataclass(frozen=True)
class _Group:
    """A group of an .h5 file with a `volume`, and maybe `segmentation` and `point`."""

    file: SourceFile
    key: str

    @property
    def name(self) -> str:
        return _case_name(self.file.name, self.key)

    def arrays(self) -> dict[str, np.ndarray]:
        """Reads the arrays as stored.

        Raises:
            InputError: If they cannot be read.
        """
        with _open(self.file) as h5:
            group = h5[self.key]
            return {p: hdf5_numbers(group, p) for p in _PARTS if p in group}

    def facts(self) -> dict[str, Any]:
        arrays = self.arrays()
        return {
            "file": f"{self.file.shown}/{self.key}",
            "bytes": sum(array.nbytes for array in arrays.values()),
            "sha256": bytes_digest(_pieces(arrays)),
        }


def _pieces(arrays: dict[str, np.ndarray]) -> Iterator[bytes]:
    """The bytes of arrays, each after its name, type and shape."""
    for part, array in arrays.items():
        yield f"{part} {array.dtype} {array.shape} ".encode()
        yield array.tobytes()


def find_groups(source: Source) -> Contents:
    """The groups with a volume in all .h5 files, with the split of the JSON lists."""
    lists = _read_lists(source)
    cases: list[SourceCase] = []
    faults = [*source.faults]
    for file in (f for f in source.files if f.name.endswith(".h5")):
        if file.member is not None:
            faults.append(
                f"{file.shown}: expected an unpacked .h5 file, got a zip: unpack it"
            )
            continue
        try:
            groups = [_Group(file, key) for key in _keys(file)]
        except InputError as error:
            faults.append(str(error))
            continue
        cases += [_case(g, lists) for g in groups if lists.include(g.name)]
    names = {case.name for case in cases}
    pairs = tuple(pair for pair in lists.pairs if set(pair) <= names)
    return Contents(tuple(cases), tuple(faults), pairs)


@dataclass(frozen=True)
class _Lists:
    """The content of the authors' JSON files, by names of cases."""

    splits: Mapping[str, str]
    """Splits of the listed cases; empty if there is no such file."""
    pairs: tuple[Pair, ...]

    def include(self, name: str) -> bool:
        """Whether the case is to be prepared: all of them are without lists."""
        return not self.splits or name in self.splits


def _case(group: _Group, lists: _Lists) -> SourceCase:
    is_test = PurePosixPath(group.file.name).stem.endswith("_val")
    split = lists.splits.get(group.name) or ("test" if is_test else None)
    load = partial(_load, group)
    return SourceCase(group.name, group.name, (group.facts,), load, split)


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
        remarks=(_ASSUMED, *remarks),
    )


def _points(
    arrays: Mapping[str, np.ndarray], grid: Grid
) -> tuple[Points | None, tuple[str, ...]]:
    """Landmarks in mm, named by their place in the array; -1 marks a missing one."""
    voxels = arrays.get("point")
    if voxels is None:
        return None, ()
    if voxels.ndim != 2 or voxels.shape[1] != 3:
        raise InputError(
            about="point", expected="shape (N, 3)", got=f"shape {voxels.shape}"
        )
    is_present = (voxels >= 0).all(axis=1)
    names = np.array([f"L{n + 1}" for n in range(len(voxels))])
    missing = ", ".join(names[~is_present])
    remarks = (f"missing landmarks: {missing}",) if missing else ()
    if not is_present.any():
        return None, remarks
    mm = grid.voxel_to_world(voxels[is_present].astype(float))
    return Points(mm, tuple(names[is_present].tolist())), remarks


def _case_name(path: str, key: str) -> str:
    return f"{PurePosixPath(path).stem}-{key.replace('/', '_')}"


def _read_lists(source: Source) -> _Lists:
    """The authors' liver.json and brain.json, if present.

    Raises:
        InputError: If a file of this name has other content.
    """
    splits: dict[str, str] = {}
    pairs: list[Pair] = []
    for file in source.files:
        if PurePosixPath(file.name).name not in _LISTS:
            continue
        with file.open() as text:
            try:
                lists = _parse_list(parsed_json(text.read(), "a JSON object"))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise InputError(
                    about=file.shown,
                    expected="the authors' list of files and subsets",
                    got="other content",
                    advice="remove it, or download it again",
                ) from error
        splits |= lists.splits
        pairs += lists.pairs
    return _Lists(splits, tuple(pairs))


def _parse_list(facts: dict[str, Any]) -> _Lists:
    """The splits and pairs of one JSON file.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: If it has other content.
    """
    paths = {key: file["path"] for key, file in facts["files"].items()}
    subsets = {
        subset: [_listed_name(entry, paths) for entry in entries]
        for subset, entries in facts["subsets"].items()
    }
    splits = {
        name: "train" if subset.endswith("train") else "test"
        for subset, names in subsets.items()
        for name in names
    }
    test = [name for name, split in splits.items() if split == "test"]
    if "atlas" in facts:
        atlas = _listed_name(facts["atlas"], paths)
        pairs = atlas_pairs([atlas, *test], atlas)
        return _Lists({atlas: "test"} | splits, tuple(pairs))
    paired = [names for subset, names in subsets.items() if subset.startswith(_PAIRED)]
    return _Lists(splits, tuple(pair for names in paired for pair in _neighbors(names)))


def _listed_name(entry: str, paths: Mapping[str, str]) -> str:
    """The case that an entry FILE/GROUP names; of the file "/", GROUP is all of it."""
    file, _, key = entry.partition("/")
    if file in paths:
        return _case_name(paths[file], key)
    return _case_name(paths.get("/", ""), entry)


def _neighbors(names: Sequence[str]) -> list[Pair]:
    """The first and second case in both directions, the third and fourth, ..."""
    both = zip(names[::2], names[1::2], strict=False)
    return [pair for one, other in both for pair in ((one, other), (other, one))]


def _keys(file: SourceFile) -> list[str]:
    """Paths of all groups with a volume."""
    keys: list[str] = []

    def add_group(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "volume" in item:
            keys.append(name)

    with _open(file) as h5:
        h5.visititems(add_group)
    return sorted(keys)


@contextmanager
def _open(file: SourceFile) -> Iterator[Any]:
    with naming(file.shown), open_hdf5(file.path, "an .h5 file") as h5:
        yield h5


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
        "brain.json, liver.json    optional: cases, splits, atlas, pairs of LSPIG",
    ),
    find=find_groups,
    region="whole",
    intensity_rule="as stored",
    split="train",
)

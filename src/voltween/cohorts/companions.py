"""Files that a user adds to the cases of a download: landmarks and masks, by name."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from voltween import io
from voltween.cohorts.downloads.download import Contents, LoadedCase, SourceCase
from voltween.cohorts.downloads.scans import SourceScan, group_scans
from voltween.cohorts.downloads.sources import Source, SourceFile, open_source
from voltween.cohorts.raters import RatedPoints, average_raters
from voltween.errors import InputError
from voltween.spatial import Image, Points
from voltween.storage import naming

_POINTS_SUFFIXES = (".csv", ".fcsv", ".mrk.json")


@dataclass(frozen=True)
class Landmarks:
    """The landmark files of a folder: those of each case, by rater."""

    by_case: Mapping[str, tuple[SourceFile, ...]]
    """One file per rater, NAME.csv or RATER/NAME.csv."""

    def add_to(self, contents: Contents) -> Contents:
        """The contents with these landmarks in place of the download's own.

        Files that belong to no case become faults.
        """
        return replace(
            contents,
            cases=tuple(
                _with_file(case, files, partial(_load_points, files))
                if (files := self.by_case.get(case.name))
                else case
                for case in contents.cases
            ),
            faults=(*contents.faults, *_strangers("points", self.by_case, contents)),
        )

    def rated(self, names: Iterable[str]) -> list[RatedPoints]:
        """The landmarks of those of the cases that have files of several raters.

        Raises:
            InputError: If they cannot be read, or the raters disagree.
        """
        files = (self.by_case.get(name, ()) for name in names)
        return [_average(of_case) for of_case in files if len(of_case) > 1]


def open_landmarks(folder: Path) -> Landmarks:
    """Lists the landmark files of a folder.

    Raises:
        InputError: If there is no such folder, or no landmark file in it.
    """
    source = _open_folder("--points", folder)
    files: dict[str, list[SourceFile]] = defaultdict(list)
    for file in source.files:
        suffixes = [s for s in _POINTS_SUFFIXES if file.name.endswith(s)]
        if suffixes and file.member is None:
            name = PurePosixPath(file.name).name
            files[name[: -max(map(len, suffixes))]].append(file)
    if not files:
        raise InputError(
            about=folder,
            expected="files of landmarks, NAME.csv or RATER/NAME.csv",
            got="none",
        )
    return Landmarks({name: tuple(of_case) for name, of_case in files.items()})


def add_masks(contents: Contents, folder: Path) -> Contents:
    """The contents whose images are to be stripped by the masks of a folder.

    Every case needs a mask; masks that belong to no case become faults.

    Raises:
        InputError: If there is no such folder.
    """
    masks: dict[str, list[SourceScan]] = defaultdict(list)
    for scan in group_scans(_open_folder("--strip", folder).files):
        masks[PurePosixPath(scan.stem).name].append(scan)
    return replace(
        contents,
        cases=tuple(_masked(case, masks.get(case.name, [])) for case in contents.cases),
        faults=(*contents.faults, *_strangers("mask", masks, contents)),
    )


def _open_folder(option: str, folder: Path) -> Source:
    if not folder.is_dir():
        raise InputError(
            about=option,
            expected="a folder",
            got=f"{folder}, which is none",
            advice="give the option again with its present place",
        )
    return open_source(folder)


def _strangers(
    kind: str, files: Mapping[str, object], contents: Contents
) -> tuple[str, ...]:
    """Faults of the files that are not named like a case."""
    unknown = sorted(set(files) - contents.names)
    return tuple(
        f"{kind} {name}: expected the name of a case, got another" for name in unknown
    )


def _with_file(
    case: SourceCase,
    files: Iterable[SourceFile],
    change: Callable[[LoadedCase], LoadedCase],
) -> SourceCase:
    """The case that also depends on these files, and is changed once it is loaded."""
    sources = (*case.sources, *(file.facts for file in files))
    return replace(case, sources=sources, load=partial(_change, case.load, change))


def _change(
    load: Callable[[], LoadedCase], change: Callable[[LoadedCase], LoadedCase]
) -> LoadedCase:
    return change(load())


def _load_points(files: Iterable[SourceFile], loaded: LoadedCase) -> LoadedCase:
    rated = _average(files)
    _check_inside(rated.points, loaded.image)
    return replace(loaded, points=rated.points, points_remark=rated.remark)


def _average(files: Iterable[SourceFile]) -> RatedPoints:
    """The landmarks of one case, averaged over its raters.

    Raises:
        InputError: If a file cannot be read, a rater has two files, or the raters
            disagree.
    """
    by_rater: dict[str, Points] = {}
    for file in files:
        rater = str(PurePosixPath(file.name).parent)
        if rater in by_rater:
            raise InputError(
                about=file.name,
                expected="one file per rater",
                got="another of the case",
            )
        try:
            by_rater[rater] = io.read_points(file.path)
        except InputError as error:
            about = error.about.replace(str(file.path), file.name)
            raise error.replace(about=about) from error
    return average_raters(by_rater)


def _check_inside(points: Points, image: Image) -> None:
    """Refuses landmarks outside the scan, which are in another frame."""
    voxels = image.grid.world_to_voxel(points.mm)
    ends = np.array(image.grid.shape) - 0.5
    is_outside = ((voxels < -0.5) | (voxels > ends)).any(axis=1)
    if is_outside.any():
        first = int(is_outside.argmax())
        name = points.names[first] if points.names else str(first + 1)
        raise InputError(
            about="points",
            expected="positions inside the scan, in mm, RAS unless a column frame says "
            "LPS",
            got=f"{int(is_outside.sum())} outside, such as landmark {name}",
        )


def _masked(case: SourceCase, masks: list[SourceScan]) -> SourceCase:
    files = [file for mask in masks for file in mask.files]
    return _with_file(case, files, partial(_load_mask, masks))


def _load_mask(masks: list[SourceScan], loaded: LoadedCase) -> LoadedCase:
    if len(masks) != 1:
        raise InputError(
            about="--strip", expected="one mask named like the case", got=len(masks)
        )
    with naming(f"mask {masks[0].shown}"):
        return replace(loaded, mask=masks[0].read_labels(axes="LAS"))

"""The cases of a manifest, of a folder of scans or maps, or of a BIDS data set."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from voltween.batches.bids_input import is_bids, read_bids
from voltween.batches.names import SCAN_SUFFIXES, names_of_paths
from voltween.cohorts import Case, LabelNumbers, read_manifest
from voltween.errors import InputError
from voltween.storage import add_inputs

_DICOM_MARK = (128, b"DICM")
_LOOKED_AT = 20  # files of a folder that may be one of DICOM


def read_cases(place: Path) -> tuple[Case, ...]:
    """The cases of a manifest (CSV), of a folder of scans, or of a BIDS data set.

    A folder of scans holds one file per scan, or one folder of DICOM files. Cases whose
    files are missing or damaged are included.

    Raises:
        InputError: If there is no such place, it holds no case, or the manifest cannot
            be used.
    """
    if not place.is_dir():
        return read_manifest(place, may_lack_files=True)
    cases = read_bids(place) if is_bids(place) else _cases_of_folder(place)
    add_inputs(case.image for case in cases)
    return cases


def read_label_maps(place: Path) -> tuple[Case, ...]:
    """The cases of a manifest (CSV), of a folder of label maps, or of one label map.

    Those of a folder or file have no scan, and are `train` cases. Cases of a manifest
    may have scans.

    Raises:
        InputError: If there is no such place, it holds no label map, or the manifest
            cannot be used.
    """
    if not place.is_dir() and not _is_map(place):
        return read_manifest(place, may_lack_scans=True)
    maps = [place]
    if place.is_dir():
        maps = [path for path in sorted(place.iterdir()) if _is_map(path)]
    if not maps:
        raise InputError(
            about=place,
            expected="label maps (NIfTI, NRRD, MetaImage, MGH, DICOM segmentations)",
            got="none",
            advice="give the folder in which they lie, or a manifest that lists them",
        )
    numbers = LabelNumbers(maps)
    add_inputs(maps)
    return tuple(
        replace(case, labels=case.image, split="train", label_numbers=numbers)
        for case in _named_cases(maps)
    )


def _cases_of_folder(folder: Path) -> tuple[Case, ...]:
    scans = [path for path in sorted(folder.iterdir()) if _is_scan(path)]
    if not scans:
        raise InputError(
            about=folder,
            expected="scans (NIfTI, NRRD, MetaImage, MGH, folders of DICOM), or a BIDS "
            "data set with sub-*/[ses-*/]anat/*_T1w.nii.gz",
            got="none",
        )
    return _named_cases(scans)


def _named_cases(paths: Sequence[Path]) -> tuple[Case, ...]:
    """A case per path, named by it."""
    names = names_of_paths(paths)
    counts = Counter(names.values())
    return tuple(
        Case(name if counts[name] == 1 else path.name, path, None, None, split="")
        for path, name in names.items()
    )


def _is_map(path: Path) -> bool:
    """Whether a file is a volume by its name, or is one of DICOM."""
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.name.lower().endswith(SCAN_SUFFIXES) or _is_dicom(path)


def _is_scan(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return any(map(_is_dicom, islice(_files_within(path), _LOOKED_AT)))
    return path.name.lower().endswith(SCAN_SUFFIXES)


def _files_within(folder: Path) -> Iterator[Path]:
    """The files of a folder and of its subfolders."""
    for pattern in ("*", "*/*"):
        yield from (path for path in sorted(folder.glob(pattern)) if path.is_file())


def _is_dicom(path: Path) -> bool:
    start, mark = _DICOM_MARK
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(len(mark)) == mark
    except OSError:
        return False

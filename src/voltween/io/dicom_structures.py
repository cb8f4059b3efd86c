"""DICOM structure sets (RTSTRUCT) as label maps, on the grid of their scan.

A structure is drawn as contours on the slices of a scan, which the structure set names
by the UID of its series. PS3.3 C.8.8.5 and C.8.8.6.
"""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float, UInt
from pydicom.dataset import Dataset

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.io.container import DICOM, check_file
from voltween.io.contours import Contour, Filled, fill
from voltween.io.dicom import dicom_grid
from voltween.io.dicom_objects import read_dicom_object
from voltween.io.dicom_slices import reporting_damage
from voltween.io.itk import flip_vectors
from voltween.spatial import Grid
from voltween.storage import add_inputs, named

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
"""The SOP class of structure sets."""
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_MOST_FILES = 20_000  # that are looked at in search of the scan
_MOST_SHOWN = 6
_ONE_PLANE = 0.1  # of a slice distance; files round positions
_DEPTH_DECIMALS = 2
_MOST_TILT = 0.5  # slices that a contour may cross
_MOST_LABEL = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class Structure:
    """A region of interest: its label, its name, and its closed contours."""

    label: int
    name: str
    contours_lps: tuple[Float[np.ndarray, "_ 3"], ...]
    """Positions in the frame of DICOM, mm."""


@dataclass(frozen=True)
class _Drawn:
    """The voxels of a structure: one plane per slice that has contours."""

    structure: Structure
    planes: dict[int, Filled]

    @property
    def size(self) -> int:
        return sum(int(plane.is_inside.sum()) for plane in self.planes.values())


def read_structure_set(path: Path) -> tuple[np.ndarray, Grid]:
    """Reads the structures as labels (I, J, K) on the grid of their scan.

    The scan is looked for in the folder of the file, in its subfolders, and in the
    folders beside it. Contours of one structure on one slice are combined by the
    even-odd rule. A voxel of several structures gets the smallest one, with a warning.

    Raises:
        InputError: If the file is damaged, the scan is not there, or contours are not
            on its slices. `path` is not named.
    """
    header = _read(path)
    structures = _structures(path, header)
    grid = _grid_of_scan(path, header)
    drawn = [_draw(structure, grid) for structure in structures]
    _warn_of_missing([each for each in drawn if not each.size])
    return _paint([each for each in drawn if each.size], grid), grid


def structure_set_names(path: Path) -> dict[int, str]:
    """The name of every label of `read_structure_set`.

    Raises:
        InputError: If the file is damaged.
    """
    with reporting_damage(path):
        header = read_dicom_object(
            path, tags=["SOPClassUID", "StructureSetROISequence"]
        )
        return {label: name for _, label, name in _regions(_checked(header))}


def _read(path: Path) -> Dataset:
    with reporting_damage(path):
        return _checked(read_dicom_object(path))


def _checked(header: Dataset) -> Dataset:
    if header.get("SOPClassUID") != STRUCTURE_SET:
        raise ValueError("no structure set")
    return header


def _structures(path: Path, header: Dataset) -> list[Structure]:
    with reporting_damage(path):
        regions = _regions(header)
        drawn = {
            int(item.ReferencedROINumber): tuple(_contours(item))
            for item in header.ROIContourSequence
        }
        if strangers := drawn.keys() - {number for number, _, _ in regions}:
            raise ValueError(f"contours of unknown structures {sorted(strangers)}")
    return [
        Structure(label, name, drawn.get(number, ())) for number, label, name in regions
    ]


def _regions(header: Dataset) -> list[tuple[int, int, str]]:
    """The number, the label and the name of every structure."""
    names = {
        int(item.ROINumber): str(item.get("ROIName") or "").strip()
        for item in header.StructureSetROISequence
    }
    numbers = list(names)
    has_labels = all(0 < number <= _MOST_LABEL for number in numbers)
    labels = numbers if has_labels else range(1, len(numbers) + 1)
    return [
        (number, label, names[number] or f"ROI {number}")
        for label, number in zip(labels, numbers, strict=True)
    ]


def _contours(item: Dataset) -> Iterator[Float[np.ndarray, "_ 3"]]:
    for contour in item.get("ContourSequence") or ():
        if contour.ContourGeometricType in _CLOSED:
            value = contour.get_item("ContourData").value
            texts = value.strip().split(b"\\") if isinstance(value, bytes) else value
            numbers = np.array(texts, np.float64)
            if numbers.size % 3 or not np.isfinite(numbers).all():
                raise ValueError("contours that are no positions")
            yield numbers.reshape(-1, 3)


def _grid_of_scan(path: Path, header: Dataset) -> Grid:
    """The grid of the scan that the structures were drawn on."""
    with reporting_damage(path):
        wanted = {
            str(series.SeriesInstanceUID)
            for frame in header.get("ReferencedFrameOfReferenceSequence") or ()
            for study in frame.get("RTReferencedStudySequence") or ()
            for series in study.get("RTReferencedSeriesSequence") or ()
        }
    places: dict[str, Path] = {}
    for folder, uid in _series_around(path):
        if uid in wanted:
            places.setdefault(uid, folder)
        if len(places) == len(wanted):
            break
    if len(places) != 1:
        listed = ", ".join(sorted(wanted)[:_MOST_SHOWN]) or "which it does not name"
        raise InputError(
            expected=f"the scan of the structures, a DICOM series ({listed}), in the "
            "folder of the file or in one beside it",
            got=f"{len(places)} series" if places else "no such series",
            advice="copy the file into the folder of the scan",
        )
    ((uid, folder),) = places.items()
    add_inputs([folder])
    return dicom_grid(folder, uid)


def _series_around(path: Path) -> Iterator[tuple[Path, str]]:
    """Folders and the UIDs of DICOM series in them, near a file; the nearest first."""
    folder = path.absolute().parent
    places = [folder, *folder.glob("*/"), *folder.parent.glob("*/")]
    files = ((place, file) for place in dict.fromkeys(places) for file in _in(place))
    seen: set[tuple[Path, str]] = set()
    for place, file in islice(files, _MOST_FILES):
        if (pair := (place, _series_uid(file))) not in seen:
            seen.add(pair)
            yield pair


def _in(folder: Path) -> list[Path]:
    """The content of a folder; nothing of one that this user must not look into."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _series_uid(file: Path) -> str:
    try:
        if not file.is_file() or check_file(file).kind is not DICOM:
            return ""
        header = pydicom.dcmread(
            file, specific_tags=["SeriesInstanceUID", "Rows"], defer_size=1024
        )
    except MemoryError:  # no fault of the file
        raise
    except Exception:  # damaged, or not to be read: not the scan
        return ""
    return str(header.get("SeriesInstanceUID", "")) if "Rows" in header else ""


def _draw(structure: Structure, grid: Grid) -> _Drawn:
    """The voxels of a structure: of several planes within a slice, the nearest.

    Raises:
        InputError: If a contour is not parallel to the slices.
    """
    slices: dict[int, list[tuple[float, Contour]]] = {}
    for contour in structure.contours_lps:
        voxels = grid.world_to_voxel(flip_vectors(contour))
        if np.ptp(voxels[:, 2]) > _MOST_TILT:
            raise InputError(
                expected="contours in the slices of the scan",
                got=f"{structure.name!r}, whose contours cross them",
                advice="export the structures on the slices of the scan",
            )
        depth = float(voxels[:, 2].mean())
        # Halves go up, so that planes between the slices leave no slice empty.
        k = math.floor(round(depth, _DEPTH_DECIMALS) + 0.5)
        if 0 <= k < grid.shape[2]:
            slices.setdefault(k, []).append((depth, voxels[:, :2]))
    _warn_of_gaps(structure, sorted(slices))
    return _Drawn(
        structure,
        {k: fill(_nearest(k, each), grid.shape[:2]) for k, each in slices.items()},
    )


def _nearest(k: int, contours: Sequence[tuple[float, Contour]]) -> list[Contour]:
    """The contours of the plane that is nearest to a slice, of those with depths."""
    nearest = min((depth for depth, _ in contours), key=lambda depth: abs(depth - k))
    return [each for depth, each in contours if abs(depth - nearest) <= _ONE_PLANE]


def _paint(drawn: list[_Drawn], grid: Grid) -> UInt[np.ndarray, "i j k"]:
    """The labels, the largest structure first, so that smaller ones stay visible."""
    largest = max((each.structure.label for each in drawn), default=0)
    labels = np.zeros(grid.shape, np.uint8 if largest < 256 else np.uint16)
    names = {each.structure.label: each.structure.name for each in drawn}
    shared: dict[tuple[str, str], int] = {}
    for each in sorted(drawn, key=lambda each: -each.size):
        hidden: Counter[int] = Counter()
        for k, plane in each.planes.items():
            part = labels[(*plane.box, k)]
            hidden.update(part[plane.is_inside].tolist())
            part[plane.is_inside] = each.structure.label
        shared |= {
            (each.structure.name, names[label]): count
            for label, count in hidden.items()
            if label
        }
    if shared:
        listed = [
            f"{one} in {other} ({count} voxels)"
            for (one, other), count in sorted(shared.items(), key=lambda item: -item[1])
        ]
        _warn(
            "structures overlap; a voxel of several gets the smallest: "
            f"{', '.join(listed[:_MOST_SHOWN])}{', ...' * (len(listed) > _MOST_SHOWN)}"
        )
    return labels


def _warn_of_gaps(structure: Structure, slices: list[int]) -> None:
    """Warns of a structure that was drawn on every second slice, or fewer."""
    steps = np.diff(slices)
    if len(steps) and (usual := int(np.median(steps))) > 1:
        _warn(
            f"structure {structure.name!r} has contours on one of {usual} slices of "
            "the scan alone: the slices between them stay empty"
        )


def _warn_of_missing(missing: list[_Drawn]) -> None:
    if missing:
        names = [each.structure.name for each in missing]
        _warn(
            "structures without a voxel (no closed contour on the scan) are "
            f"left out: {', '.join(names[:_MOST_SHOWN])}"
            f"{', ...' * (len(names) > _MOST_SHOWN)}"
        )


def _warn(text: str) -> None:
    warnings.warn(named(text), SuspiciousInputWarning, stacklevel=2)

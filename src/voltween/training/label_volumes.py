"""Label maps from which pairs are synthesized, prepared once and kept on disk.

They lie around the canonical grid, in finer voxels and with a margin, so that a change
of pose brings in what is there.
"""

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from jaxtyping import Int, Integer, UInt8
from torch import Tensor

from voltween.cohorts import Case, load_case, read_case_labels
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.models import read_tensors, write_tensors
from voltween.preprocessing import Preprocessing, find_foreground
from voltween.spatial import Affine, Grid, Image, LabelMap, looks_like_labels
from voltween.storage import (
    Draft,
    Store,
    content_digest,
    named,
    naming,
    output_folder,
)

logger = logging.getLogger(__name__)

_FORMAT = 1  # raised when files or the preprocessing change: volumes are made again
_MARGIN = 0.15  # of each side of the canonical grid, on either end
_BRIGHTEST = 255


@dataclass(frozen=True, eq=False)
class LabelVolume:
    """A label map around its canonical grid, with the scan if the case has one."""

    name: str
    cohort: str
    codes: Integer[Tensor, "a b c"]
    """Index into `values` of every fine voxel."""
    values: Int[Tensor, " n"]
    """The labels that occur."""
    scan: UInt8[Tensor, "a b c"] | None
    """Intensities on the same voxels, 0 to 255."""
    dark: float
    """Intensity, 0 to 1, below which the scan shows air."""


class StoredVolumes(Sequence[LabelVolume]):
    """Label volumes on disk; each is read on access."""

    def __init__(self, files: Sequence[Path], cohorts: Sequence[str]) -> None:
        self.files = tuple(files)
        self.cohorts = tuple(cohorts)

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> LabelVolume: ...
    @overload
    def __getitem__(self, index: slice) -> "StoredVolumes": ...
    def __getitem__(self, index: int | slice) -> "LabelVolume | StoredVolumes":
        if isinstance(index, slice):
            return StoredVolumes(self.files[index], self.cohorts[index])
        tensors, description = read_tensors(self.files[index])
        return LabelVolume(
            name=description["name"],
            cohort=self.cohorts[index],
            codes=tensors["codes"],
            values=tensors["values"],
            scan=tensors.get("scan"),
            dark=description["dark"],
        )


def store_volumes(
    cases: Iterable[Case], preprocessing: Preprocessing, folder: Path, subdivision: int
) -> StoredVolumes:
    """Prepares the label maps of the cases, as far as the folder lacks them.

    Raises:
        InputError: If a file cannot be used.
        OutputError: If the folder cannot be written to.
    """
    store = Store(output_folder(folder))
    cases = [case for case in cases if case.labels is not None]
    files = [_store(case, preprocessing, store, subdivision) for case in cases]
    return StoredVolumes(files, [case.cohort for case in cases])


def margins(shape: Sequence[int], subdivision: int) -> tuple[int, int, int]:
    """Fine voxels that are kept beyond either end of the canonical grid, per axis."""
    i, j, k = (round(_MARGIN * side * subdivision) for side in shape)
    return i, j, k


def labels_as_image(case: Case) -> tuple[Image, LabelMap]:
    """The labels of a case without a scan, and an image that is 1 where there is one.

    A `SuspiciousInputWarning` tells of whole numbers that look like an image's.

    Raises:
        InputError: If the file cannot be read, has fractions, or has no label.
    """
    labels = read_case_labels(case)
    assert labels is not None  # cases without labels are left out
    with naming(f"{case.name} ({case.labels})"):
        is_labeled = labels.data != 0
        if not is_labeled.any():
            raise InputError(
                about="labels",
                expected="a label map, from which scans are synthesized",
                got="no label (every voxel is 0)",
            )
        if len(labels.labels) > 1 and not looks_like_labels(labels.data):
            warnings.warn(
                named(
                    "the label map looks like a scan (many values, or neighbors that "
                    "differ): if it is one, give the label map drawn on it"
                ),
                SuspiciousInputWarning,
                stacklevel=2,
            )
    return Image(is_labeled.astype(np.float32), labels.grid), labels


def load_volume(
    case: Case, preprocessing: Preprocessing, subdivision: int
) -> LabelVolume:
    """Reads the label map of a case, and its scan if it has one.

    The canonical grid is that of the scan or, without one, that of the labeled voxels.

    Raises:
        InputError: If a file cannot be used, or no voxel has a label.
    """
    if case.has_scan:
        image, labels = load_case(case)
        assert labels is not None  # cases without labels are left out
    else:
        image, labels = labels_as_image(case)
    with naming(case.name):
        grid = _fine_grid(preprocessing.canonical_grid(image), subdivision)
        on_grid = Affine.identity().resample(labels, onto=grid).data
        values, codes = np.unique(on_grid, return_inverse=True)
        if not values.any():
            raise InputError(
                expected="labels on the network's grid", got="none", about="labels"
            )
        scan, dark = None, 0.0
        if case.has_scan:
            bright = preprocessing.normalize(image, onto=grid)
            scan = torch.from_numpy((bright.data * _BRIGHTEST).round().astype(np.uint8))
            dark = find_foreground(bright).threshold
    kind = np.uint8 if len(values) <= 2**8 else np.int32
    codes = codes.reshape(on_grid.shape).astype(kind)
    return LabelVolume(
        case.name,
        case.cohort,
        torch.from_numpy(codes),
        torch.from_numpy(values.astype(np.int64)),
        scan,
        dark,
    )


def _fine_grid(canonical: Grid, subdivision: int) -> Grid:
    """The canonical grid in finer voxels, with a margin on all sides."""
    beyond = margins(canonical.shape, subdivision)
    i, j, k = (
        side * subdivision + 2 * margin
        for side, margin in zip(canonical.shape, beyond, strict=True)
    )
    spacing_mm = canonical.spacing_mm
    x, y, z = (float(mm) / subdivision for mm in spacing_mm)
    return Grid.centered(
        (i, j, k),
        center_mm=canonical.center_mm,
        spacing_mm=(x, y, z),
        directions=canonical.affine[:3, :3] / spacing_mm,
    )


def _store(
    case: Case, preprocessing: Preprocessing, store: Store, subdivision: int
) -> Path:
    """The file of the volume, which is made if it is missing or damaged."""

    def make(draft: Draft) -> None:
        volume = load_volume(case, preprocessing, subdivision)
        tensors = {"codes": volume.codes, "values": volume.values}
        if volume.scan is not None:
            tensors["scan"] = volume.scan
        path = draft.path(f"{draft.name}.safetensors")
        write_tensors(path, tensors, {"name": volume.name, "dark": volume.dark})
        logger.info("prepared the labels of %s", case.name)

    assert case.labels is not None
    facts = {
        "format": _FORMAT,
        "kind": "label volume",
        "name": case.name,
        "preprocessing": asdict(preprocessing),
        "subdivision": subdivision,
        "image": content_digest(case.image) if case.has_scan else None,
        "labels": content_digest(case.labels),
        **case.label_facts,
    }
    (path,) = store.found_or_made(facts, make).paths
    return path

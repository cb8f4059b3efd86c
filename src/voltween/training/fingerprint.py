"""What a cohort is like: how large, how bright and how labeled its scans are."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from voltween.cohorts import SPLITS, Case, cases_of_split, load_case
from voltween.files import naming
from voltween.preprocessing import (
    DENSER_THAN_LUNG,
    check_has_contrast,
    find_foreground,
    hounsfield_offset,
    looks_like_ct,
    sample_voxels,
)
from voltween.spatial import Image, LabelMap, directions_to_ras, spacing_and_shape

Three = tuple[float, float, float]

_MOST_CASES = 0.9  # a share that passes for all of them
_USUAL_PERCENT = 95
_LISTED_STRUCTURES = 12
_PERCENTILES = (2, 50, 98)


@dataclass(frozen=True)
class Spread:
    """A quantity along the scans' axes nearest to R, A and S, over a cohort."""

    smallest: Three
    median: Three
    usual: Three
    """95th percentile: what nearly all scans stay below."""
    largest: Three


@dataclass(frozen=True)
class Structure:
    """A label of a cohort."""

    label: int
    cases: int
    """In how many scans it is present."""
    volume_ml: float
    """Median over those."""


@dataclass(frozen=True)
class CohortFingerprint:
    """What is known of a cohort; all but `splits` is of its `train` cases alone."""

    splits: dict[str, int]
    """Cases by split."""
    labeled: int
    """Training cases with a label map."""
    spacing_mm: Spread
    shape: Spread
    """Voxels."""
    field_of_view_mm: Spread
    foreground_mm: Spread
    """Sides of the box around the foreground."""
    foreground_offset_mm: Spread
    """From the middle of the scan to the middle of that box."""
    lowest: tuple[float, float]
    """Least and greatest of the scans' lowest values."""
    intensities: Three
    """2nd, 50th and 98th percentile of the foreground, median over scans. In a cohort
    of CT: Hounsfield units, of what is denser than lung or labeled."""
    is_ct: bool
    structures: tuple[Structure, ...]

    @property
    def cases(self) -> int:
        """Training cases."""
        return self.splits["train"]

    @property
    def is_labeled(self) -> bool:
        """Whether every training case has labels."""
        return self.labeled == self.cases


@dataclass(frozen=True, eq=False)
class _Measured:
    """What one scan contributes."""

    spacing_mm: Float[np.ndarray, " 3"]
    shape: Float[np.ndarray, " 3"]
    foreground_mm: Float[np.ndarray, " 3"]
    foreground_offset_mm: Float[np.ndarray, " 3"]
    lowest: float
    offset: float
    intensities: Float[np.ndarray, " 3"]
    is_ct: bool
    is_labeled: bool
    volumes_ml: dict[int, float]


def measure_fingerprint(
    cases: Sequence[Case], on_case: Callable[[str], None] = lambda name: None
) -> CohortFingerprint:
    """What the `train` cases are like; the others are counted, not looked at.

    `on_case` is called with the name of every case before it is read.

    Raises:
        InputError: If there are fewer than two `train` cases, or one cannot be read.
    """
    measured = []
    for case in cases_of_split(cases, "train"):
        on_case(case.name)
        measured.append(_measured(case))
    is_ct = sum(scan.is_ct for scan in measured) >= _MOST_CASES * len(measured)
    intensities = [
        scan.intensities - (scan.offset if is_ct else 0) for scan in measured
    ]
    lowest = [scan.lowest for scan in measured]
    splits = Counter(case.split for case in cases)
    return CohortFingerprint(
        splits={split: splits[split] for split in SPLITS},
        labeled=sum(scan.is_labeled for scan in measured),
        spacing_mm=spread(scan.spacing_mm for scan in measured),
        shape=spread(scan.shape for scan in measured),
        field_of_view_mm=spread(scan.spacing_mm * scan.shape for scan in measured),
        foreground_mm=spread(scan.foreground_mm for scan in measured),
        foreground_offset_mm=spread(scan.foreground_offset_mm for scan in measured),
        lowest=(min(lowest), max(lowest)),
        intensities=_three(np.median(intensities, axis=0)),
        is_ct=is_ct,
        structures=_structures([scan.volumes_ml for scan in measured]),
    )


def spread(values: Iterable[Float[np.ndarray, " 3"]]) -> Spread:
    """Smallest, median, usual and largest of each component."""
    low, median, usual, high = np.percentile(
        list(values), (0, 50, _USUAL_PERCENT, 100), axis=0
    )
    return Spread(_three(low), _three(median), _three(usual), _three(high))


def describe_fingerprint(found: CohortFingerprint) -> dict[str, str]:
    """What was found, for people: a line of text by what it is about."""
    low, middle, high = found.intensities
    lowest = sorted(set(found.lowest))
    unit = "Hounsfield units" if found.is_ct else "as stored"
    offset = found.foreground_offset_mm
    return {
        "scans": ", ".join(f"{n} {split}" for split, n in found.splits.items()),
        "with labels": f"{found.labeled} of {found.cases} train",
        "voxel size, mm": _range(found.spacing_mm.smallest, found.spacing_mm.largest),
        "voxels": _range(found.shape.smallest, found.shape.largest),
        "field of view, mm": _range(
            found.field_of_view_mm.smallest, found.field_of_view_mm.largest
        ),
        "foreground, mm": _range(
            found.foreground_mm.smallest, found.foreground_mm.largest
        ),
        "its middle off the scan's, mm": _range(offset.smallest, offset.largest),
        "kind": "CT" if found.is_ct else "not CT",
        "lowest values": " to ".join(f"{value:g}" for value in lowest) + ", as stored",
        "foreground intensities": f"{low:.4g} to {high:.4g}, median {middle:.4g} "
        f"({unit})",
        "labels": _structures_text(found),
    }


def along_axes(values: Three) -> str:
    """The values along R, A and S as text."""
    return " x ".join(f"{value:.3g}" for value in values)


def _measured(case: Case) -> _Measured:
    image, labels = load_case(case)
    with naming(f"{case.name} ({case.image})"):
        check_has_contrast(image)
    grid = image.grid
    spacing_mm, shape = spacing_and_shape(grid)
    is_ct = looks_like_ct(image)
    foreground = find_foreground(image, is_ct=is_ct)
    return _Measured(
        spacing_mm=spacing_mm,
        shape=shape,
        foreground_mm=foreground.extent_mm,
        foreground_offset_mm=(foreground.center_mm - grid.center_mm)
        @ directions_to_ras(grid),
        lowest=float(image.data.min()),
        offset=hounsfield_offset(image),
        intensities=_percentiles(
            image, labels, None if is_ct else foreground.threshold
        ),
        is_ct=is_ct,
        is_labeled=labels is not None,
        volumes_ml={} if labels is None else _volumes_ml(labels),
    )


def _percentiles(
    image: Image, labels: LabelMap | None, threshold: float | None
) -> Float[np.ndarray, " 3"]:
    """Percentiles of what is above the threshold; of a CT if that is None."""
    values = sample_voxels(image.data)
    if threshold is not None:
        shown = values > threshold
    else:
        shown = values > DENSER_THAN_LUNG + hounsfield_offset(image)
        if labels is not None:  # such as lungs
            shown |= sample_voxels(labels.data) > 0
    return np.percentile(values[shown] if shown.any() else values, _PERCENTILES)


def _volumes_ml(labels: LabelMap) -> dict[int, float]:
    voxel_ml = float(labels.grid.spacing_mm.prod()) / 1000
    values, counts = np.unique(labels.data, return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {label: count * voxel_ml for label, count in pairs if label != 0}


def _structures(volumes_ml: Sequence[dict[int, float]]) -> tuple[Structure, ...]:
    found = sorted({label for volumes in volumes_ml for label in volumes})
    per_label = {
        label: [volumes[label] for volumes in volumes_ml if label in volumes]
        for label in found
    }
    return tuple(
        Structure(label, len(values), float(np.median(values)))
        for label, values in per_label.items()
    )


def _three(values: Float[np.ndarray, " 3"]) -> Three:
    r, a, s = (float(value) for value in values)
    return r, a, s


def _structures_text(found: CohortFingerprint) -> str:
    texts = [_structure_text(item, found) for item in found.structures]
    more = len(texts) - _LISTED_STRUCTURES
    listed = ", ".join(texts[:_LISTED_STRUCTURES])
    return f"{listed}, and {more} more" if more > 0 else listed or "none"


def _structure_text(item: Structure, found: CohortFingerprint) -> str:
    text = f"{item.label} ({item.volume_ml:.3g} ml"
    if item.cases < found.labeled:
        text += f", in {item.cases} of {found.labeled}"
    return text + ")"


def _range(smallest: Three, largest: Three) -> str:
    """Both as text, or one where they are the same."""
    low, high = along_axes(smallest), along_axes(largest)
    return low if low == high else f"{low} to {high}"

"""The fingerprint of a cohort: sizes, intensities and labels of its scans."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from voltween.cohorts import SPLITS, Case, cases_of_split, load_case
from voltween.preprocessing import (
    DENSER_THAN_LUNG,
    check_is_scan,
    find_foreground,
    hounsfield_offset,
    looks_like_ct,
    sample_voxels,
)
from voltween.spatial import Image, LabelMap, directions_to_ras, spacing_and_shape
from voltween.storage import naming
from voltween.training.label_volumes import labels_as_image

Three = tuple[float, float, float]

_MOST_CASES = 0.9  # share of cases that decides for the cohort
_USUAL_PERCENT = 95
_LISTED_STRUCTURES = 12
_PERCENTILES = (2, 50, 98)


@dataclass(frozen=True)
class Spread:
    """Range of a quantity over a cohort, along the axes nearest to R, A and S."""

    smallest: Three
    median: Three
    usual: Three
    """95th percentile."""
    largest: Three


@dataclass(frozen=True)
class Structure:
    """A label of a cohort."""

    label: int
    cases: int
    """Number of scans with the label."""
    volume_ml: float
    """Median over these scans."""


@dataclass(frozen=True)
class CohortFingerprint:
    """Properties of a cohort; all but `splits` describe its `train` cases only."""

    splits: dict[str, int]
    """Number of cases per split."""
    labeled: int
    """Number of training cases with a label map."""
    spacing_mm: Spread
    shape: Spread
    """Number of voxels."""
    field_of_view_mm: Spread
    foreground_mm: Spread
    """Sides of the box around the foreground."""
    foreground_offset_mm: Spread
    """Offset from the center of the scan to the center of that box."""
    lowest: tuple[float, float]
    """Smallest and largest of the lowest values of the scans."""
    intensities: Three
    """2nd, 50th and 98th percentile of the foreground, median over scans. For CT: in
    Hounsfield units, of voxels that are denser than lung or labeled."""
    is_ct: bool
    structures: tuple[Structure, ...]
    without_scan: int = 0
    """Number of training cases with a label map and no scan; where there are labels
    counts as their foreground."""

    @property
    def cases(self) -> int:
        """Number of training cases."""
        return self.splits["train"]

    @property
    def is_labeled(self) -> bool:
        """Whether every training case has labels."""
        return self.labeled == self.cases


@dataclass(frozen=True, eq=False)
class _ScanFacts:
    """Properties of one scan."""

    spacing_mm: Float[np.ndarray, " 3"]
    shape: Float[np.ndarray, " 3"]
    foreground_mm: Float[np.ndarray, " 3"]
    foreground_offset_mm: Float[np.ndarray, " 3"]
    lowest: float
    offset: float
    intensities: Float[np.ndarray, " 3"]
    is_ct: bool
    is_of_scan: bool
    """Whether the intensities are those of a scan, and not of a label map."""
    is_labeled: bool
    volumes_ml: dict[int, float]


def measure_fingerprint(
    cases: Sequence[Case],
    on_case: Callable[[str], None] = lambda name: None,
    *,
    fewest: int = 2,
) -> CohortFingerprint:
    """Measures the `train` cases of a cohort; other cases are counted, not read.

    Args:
        cases: The cohort.
        on_case: Called with the name of every case before it is read.
        fewest: Number of `train` cases that are enough.

    Raises:
        InputError: If there are fewer `train` cases, or one cannot be read.
    """
    measured = []
    for case in cases_of_split(cases, "train", fewest=fewest):
        on_case(case.name)
        measured.append(_measure(case))
    bright = [scan for scan in measured if scan.is_of_scan] or measured
    is_ct = sum(scan.is_ct for scan in bright) >= _MOST_CASES * len(bright)
    intensities = [scan.intensities - (scan.offset if is_ct else 0) for scan in bright]
    lowest = [scan.lowest for scan in bright]
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
        without_scan=sum(not case.has_scan for case in cases if case.split == "train"),
    )


def spread(values: Iterable[Float[np.ndarray, " 3"]]) -> Spread:
    """Smallest, median, usual and largest value of each component."""
    low, median, usual, high = np.percentile(
        list(values), (0, 50, _USUAL_PERCENT, 100), axis=0
    )
    return Spread(_three(low), _three(median), _three(usual), _three(high))


def describe_fingerprint(fingerprint: CohortFingerprint) -> dict[str, str]:
    """The fingerprint for people: lines of text by their headings."""
    offset = fingerprint.foreground_offset_mm
    return {
        "scans": ", ".join(f"{n} {split}" for split, n in fingerprint.splits.items()),
        "with labels": f"{fingerprint.labeled} of {fingerprint.cases} train",
        **_maps_alone(fingerprint),
        "voxel size, mm": _range(
            fingerprint.spacing_mm.smallest, fingerprint.spacing_mm.largest
        ),
        "voxels": _range(fingerprint.shape.smallest, fingerprint.shape.largest),
        "field of view, mm": _range(
            fingerprint.field_of_view_mm.smallest, fingerprint.field_of_view_mm.largest
        ),
        "foreground, mm": _range(
            fingerprint.foreground_mm.smallest, fingerprint.foreground_mm.largest
        ),
        "foreground center from scan center, mm": _range(
            offset.smallest, offset.largest
        ),
        **_intensities(fingerprint),
        "labels": _structures_text(fingerprint),
    }


def _intensities(fingerprint: CohortFingerprint) -> dict[str, str]:
    """Lines about the scans' intensities; none if all cases are label maps."""
    if fingerprint.without_scan == fingerprint.cases:
        return {}
    low, middle, high = fingerprint.intensities
    lowest = sorted(set(fingerprint.lowest))
    unit = "Hounsfield units" if fingerprint.is_ct else "as stored"
    return {
        "kind": "CT" if fingerprint.is_ct else "not CT",
        "lowest values": " to ".join(f"{value:g}" for value in lowest) + ", as stored",
        "foreground intensities": f"{low:.4g} to {high:.4g}, median {middle:.4g} "
        f"({unit})",
    }


def _maps_alone(fingerprint: CohortFingerprint) -> dict[str, str]:
    if not (bare := fingerprint.without_scan):
        return {}
    return {"label maps without a scan": f"{bare} of {fingerprint.cases} train"}


def along_axes(values: Three) -> str:
    """The values along R, A and S as text."""
    return " x ".join(f"{value:.3g}" for value in values)


def _measure(case: Case) -> _ScanFacts:
    image, labels = load_case(case) if case.has_scan else labels_as_image(case)
    if case.has_scan:
        with naming(f"{case.name} ({case.image})"):
            check_is_scan(image)
    grid = image.grid
    spacing_mm, shape = spacing_and_shape(grid)
    is_ct = looks_like_ct(image)
    foreground = find_foreground(image, is_ct=is_ct)
    return _ScanFacts(
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
        is_of_scan=case.has_scan,
        is_labeled=labels is not None,
        volumes_ml={} if labels is None else _volumes_ml(labels),
    )


def _percentiles(
    image: Image, labels: LabelMap | None, threshold: float | None
) -> Float[np.ndarray, " 3"]:
    """Percentiles of voxels above the threshold; None: of CT, denser than lung."""
    values = sample_voxels(image.data)
    if threshold is not None:
        is_used = values > threshold
    else:
        is_used = values > DENSER_THAN_LUNG + hounsfield_offset(image)
        if labels is not None:  # which may include lungs
            is_used |= sample_voxels(labels.data) > 0
    return np.percentile(values[is_used] if is_used.any() else values, _PERCENTILES)


def _volumes_ml(labels: LabelMap) -> dict[int, float]:
    voxel_ml = float(labels.grid.spacing_mm.prod()) / 1000
    values, counts = np.unique(labels.data, return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {label: count * voxel_ml for label, count in pairs if label != 0}


def _structures(volumes_ml: Sequence[dict[int, float]]) -> tuple[Structure, ...]:
    labels = sorted({label for volumes in volumes_ml for label in volumes})
    per_label = {
        label: [volumes[label] for volumes in volumes_ml if label in volumes]
        for label in labels
    }
    return tuple(
        Structure(label, len(values), float(np.median(values)))
        for label, values in per_label.items()
    )


def _three(values: Float[np.ndarray, " 3"]) -> Three:
    r, a, s = (float(value) for value in values)
    return r, a, s


def _structures_text(fingerprint: CohortFingerprint) -> str:
    texts = [_structure_text(item, fingerprint) for item in fingerprint.structures]
    more = len(texts) - _LISTED_STRUCTURES
    listed = ", ".join(texts[:_LISTED_STRUCTURES])
    return f"{listed}, and {more} more" if more > 0 else listed or "none"


def _structure_text(item: Structure, fingerprint: CohortFingerprint) -> str:
    text = f"{item.label} ({item.volume_ml:.3g} ml"
    if item.cases < fingerprint.labeled:
        text += f", in {item.cases} of {fingerprint.labeled}"
    return text + ")"


def _range(smallest: Three, largest: Three) -> str:
    """Both as text; one if they are the same."""
    low, high = along_axes(smallest), along_axes(largest)
    return low if low == high else f"{low} to {high}"

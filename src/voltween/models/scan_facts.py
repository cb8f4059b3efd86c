"""Facts of a scan by which a model recognizes scans of its own kind.

Everything is measured on a coarse copy, along the scan's axes nearest to R, A and S.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from voltween.models.coarse import average_blocks
from voltween.preprocessing import (
    DENSER_THAN_LUNG,
    check_has_contrast,
    find_foreground,
    hounsfield_offset,
    looks_like_ct,
)
from voltween.spatial import Image, looks_like_labels, spacing_and_shape

Three = tuple[float, float, float]

_CT_RANGE = (-1000.0, 1000.0)  # Hounsfield units; padding and metal are clipped
_CT_WINDOW = (-200.0, 300.0)  # Hounsfield units that become brightness 0 and 1
_WINDOW_PERCENT = (5, 95)  # of the foreground, for other scans
_ROOM_VOXELS = 8
_CERTAIN_AIR = -900.0  # no other modality has such values


@dataclass(frozen=True, eq=False)
class Body:
    """The foreground of a scan, its place and its brightness."""

    sides_mm: Three
    """Sides, ascending, of a box with the foreground's second moments. They do not
    change when the scan is turned."""
    border_share: float
    """Share of the scan's outermost voxels that belong to the foreground."""
    foreground: Float[np.ndarray, "i j k"]
    """1 where a coarse voxel belongs to the foreground, else 0."""
    brightness: Float[np.ndarray, "i j k"]
    """Brightness, 0 to 1, of the foreground; 0 elsewhere."""
    spacing_mm: Float[np.ndarray, " 3"]
    """Size of the coarse voxels."""

    @property
    def size_mm(self) -> float:
        """Geometric mean of the sides."""
        return float(np.cbrt(np.prod(self.sides_mm)))

    @cached_property
    def center_voxels(self) -> Float[np.ndarray, " 3"]:
        """Centroid of the foreground, in coarse voxels."""
        masses = [self.foreground.sum(axis=_others(axis)) for axis in range(3)]
        return np.array([np.average(np.arange(n.size), weights=n) for n in masses])


@dataclass(frozen=True, eq=False)
class ScanFacts:
    """Facts of one scan."""

    extent_mm: Three
    """Extent of the scan along R, A and S."""
    spacing_mm: Three
    """Voxel size along R, A and S."""
    values: tuple[float, float]
    """Lowest and highest intensity, as stored."""
    is_label_map: bool
    """Whether it looks like a label map."""
    coarse: Image
    """A small copy of the scan, along its axes nearest to R, A and S."""
    hounsfield_offset: float | None
    """Number that was added to the Hounsfield units of a CT; None if it does not look
    like one."""

    @cached_property
    def body(self) -> Body | None:
        """The foreground of the scan, taken as anything but CT; None if there is none.

        There is none if nothing is bright.
        """
        return _body(self.coarse, find_foreground(self.coarse).threshold, None)

    @cached_property
    def ct_body(self) -> Body | None:
        """The foreground, taken as CT; None if the scan does not look like one."""
        if self.hounsfield_offset is None:
            return None
        data = (self.coarse.data - self.hounsfield_offset).clip(*_CT_RANGE)
        return _body(Image(data, self.coarse.grid), DENSER_THAN_LUNG, _CT_WINDOW)

    @property
    def is_certainly_ct(self) -> bool:
        """Whether the scan shows air in Hounsfield units, as only CT does."""
        return self.ct_body is not None and self.values[0] < _CERTAIN_AIR


def measure_scan(image: Image) -> ScanFacts:
    """Measures a scan, as stored, of any orientation and spacing.

    Raises:
        InputError: If the image is constant.
    """
    check_has_contrast(image)
    spacing_mm, shape = spacing_and_shape(image.grid)
    lowest, highest = float(image.data.min()), float(image.data.max())
    return ScanFacts(
        extent_mm=three(spacing_mm * shape),
        spacing_mm=three(spacing_mm),
        values=(lowest, highest),
        is_label_map=looks_like_labels(image.data),
        coarse=average_blocks(image),
        hounsfield_offset=hounsfield_offset(image) if looks_like_ct(image) else None,
    )


def three(values: Float[np.ndarray, " 3"]) -> Three:
    """The three numbers of an array."""
    r, a, s = (float(value) for value in values)
    return r, a, s


def _body(
    coarse: Image, threshold: float, window: tuple[float, float] | None
) -> Body | None:
    """The voxels above a threshold, brightness by a window or by percentiles."""
    is_foreground = coarse.data > threshold
    if not is_foreground.any():
        return None
    border_share = float(is_foreground[_border(is_foreground.shape)].mean())
    box = _box(is_foreground)
    is_foreground, data = is_foreground[box], coarse.data[box]
    low, high = window or np.percentile(data[is_foreground], _WINDOW_PERCENT)
    scaled = (data - low) / max(high - low, float(np.finfo(np.float32).tiny))
    spacing_mm = coarse.grid.spacing_mm
    return Body(
        sides_mm=_sides_mm(is_foreground, spacing_mm),
        border_share=border_share,
        foreground=is_foreground.astype(np.float32),
        brightness=np.where(is_foreground, scaled.clip(0, 1), 0).astype(np.float32),
        spacing_mm=spacing_mm,
    )


def _box(is_foreground: np.ndarray) -> tuple[slice, ...]:
    """The foreground with room for its smoothing; the rest costs time alone."""
    box = []
    for axis in range(3):
        places = np.flatnonzero(is_foreground.any(axis=_others(axis)))
        low, high = int(places[0]), int(places[-1])
        box.append(slice(max(0, low - _ROOM_VOXELS), high + _ROOM_VOXELS + 1))
    return tuple(box)


def _sides_mm(is_foreground: np.ndarray, spacing_mm: np.ndarray) -> Three:
    """Sides of a box with the same second moments, at least a voxel."""
    second_moments = _covariance(is_foreground) * np.outer(spacing_mm, spacing_mm)
    second_moments += np.diag(spacing_mm**2) / 12
    return three(np.sqrt(12 * np.linalg.eigvalsh(second_moments)))


def _covariance(is_foreground: np.ndarray) -> Float[np.ndarray, "3 3"]:
    """Covariance of the foreground's voxel indices, from its three projections."""
    count = int(np.count_nonzero(is_foreground))
    covariance = np.zeros((3, 3))
    for axis, (one, other) in enumerate(map(_others, range(3))):
        projection = is_foreground.sum(axis=axis, dtype=np.int32) / count
        rows, columns = (np.arange(n, dtype=np.float64) for n in projection.shape)
        rows -= projection.sum(1) @ rows
        columns -= projection.sum(0) @ columns
        covariance[one, other] = covariance[other, one] = rows @ projection @ columns
        covariance[one, one] = projection.sum(1) @ rows**2
        covariance[other, other] = projection.sum(0) @ columns**2
    return covariance


def _others(axis: int) -> tuple[int, int]:
    """The two other axes, ascending."""
    first, second = {0, 1, 2} - {axis}
    return first, second


def _border(shape: tuple[int, ...]) -> np.ndarray:
    is_border = np.ones(shape, dtype=bool)
    is_border[1:-1, 1:-1, 1:-1] = False
    return is_border

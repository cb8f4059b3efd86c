"""What is in scanner space: images, label maps and points, with where they are."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from voltween.errors import InputError
from voltween.spatial.grid import Grid

_INSPECTED_PLANES = 32


@dataclass(frozen=True, eq=False, slots=True)
class Image:
    """Intensities on a grid; resampled linearly.

    Raises:
        InputError: If the array is not 3D, not on the grid, or has NaN or infinite
            voxels.
    """

    data: np.ndarray
    """(I, J, K), stored as float32, read-only."""
    grid: Grid

    def __post_init__(self) -> None:
        _check_shape("image", self.data, self.grid)
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(self.data, dtype=np.float32)
        bad = data.size - int(np.isfinite(data).sum())
        if bad:
            raise InputError(
                f"image must have finite voxels, got {bad} of {data.size} that are NaN "
                "or infinite: replace them (by 0 for background) and try again"
            )
        object.__setattr__(self, "data", _read_only(data))

    @property
    def outside_value(self) -> float:
        """Intensity beyond the grid: 0, or the minimum where that is below 0."""
        return min(0.0, float(self.data.min()))


@dataclass(frozen=True, eq=False, slots=True)
class LabelMap:
    """Integer labels on a grid, 0 background; resampled by nearest neighbor.

    Raises:
        InputError: If the array is not 3D, not on the grid, or not whole numbers.
    """

    data: np.ndarray
    """(I, J, K), stored as an integer type, read-only."""
    grid: Grid

    def __post_init__(self) -> None:
        _check_shape("label map", self.data, self.grid)
        data = np.ascontiguousarray(self.data)
        if data.dtype.kind not in "iu":
            whole = data.astype(np.int32) if np.isfinite(data).all() else data
            if not np.array_equal(whole, data):
                raise InputError(
                    "label map must have whole numbers, got fractions or NaN: is this "
                    "an intensity image?"
                )
            data = whole
        object.__setattr__(self, "data", _read_only(data))

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels present, background left out, ascending."""
        return tuple(int(label) for label in np.unique(self.data) if label != 0)


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Positions in RAS+ mm, with an optional name each.

    Raises:
        InputError: If the array is not (N, 3), not finite, or the names do not match.
    """

    mm: np.ndarray
    """(N, 3), RAS+ mm, float64, read-only."""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mm = np.array(self.mm, dtype=np.float64)
        if mm.ndim != 2 or mm.shape[1] != 3 or not np.isfinite(mm).all():
            raise InputError(f"points must be finite and (N, 3), got shape {mm.shape}")
        if self.names and len(self.names) != len(mm):
            raise InputError(f"{len(mm)} points need as many names, got {self.names}")
        object.__setattr__(self, "mm", _read_only(mm))


Volume = Image | LabelMap


def labels_in_common(fixed: LabelMap, moving: LabelMap) -> tuple[int, ...]:
    """Labels that both maps have, background left out, ascending.

    Raises:
        InputError: If there is none.
    """
    shared = sorted(set(fixed.labels) & set(moving.labels))
    if not shared:
        raise InputError(
            f"fixed and moving labels must share a label, got {fixed.labels[:9]} and "
            f"{moving.labels[:9]}"
        )
    return tuple(shared)


def looks_like_labels(data: Num[np.ndarray, "i j k"]) -> bool:
    """Whether the array is piecewise constant whole numbers, as only label maps are.

    Counts neighbors, not both background, that are exactly equal: more than half in a
    label map, few in an image, where noise keeps neighbors apart. Looks at some 32
    planes, which is enough and quick.
    """
    planes = data[..., :: max(1, data.shape[2] // _INSPECTED_PLANES)]
    if not np.array_equal(planes, np.rint(planes)):
        return False
    values, counts = np.unique(planes, return_counts=True)
    background = values[counts.argmax()]
    equal = inside = 0
    for axis in (0, 1):
        along = np.moveaxis(planes, axis, 0)
        one, next_one = along[:-1], along[1:]
        is_inside = (one != background) | (next_one != background)
        inside += int(is_inside.sum())
        equal += int((is_inside & (one == next_one)).sum())
    return inside > 0 and equal > 0.5 * inside


def _check_shape(kind: str, data: np.ndarray, grid: Grid) -> None:
    if data.ndim != 3:
        raise InputError(f"{kind} must be 3D, got an array of shape {data.shape}")
    if data.shape != grid.shape:
        raise InputError(
            f"{kind} must have its grid's shape {grid.shape}, got {data.shape}"
        )


def _read_only(data: np.ndarray) -> np.ndarray:
    view = data.view()
    view.setflags(write=False)
    return view

"""Images, label maps and points in scanner space (RAS+ mm)."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Num

from voltween.errors import InputError
from voltween.spatial.arguments import check_is_array, check_is_grid
from voltween.spatial.exchange import Exchange
from voltween.spatial.grid import Grid
from voltween.spatial.ranges import check_range, real_numbers

_INSPECTED_PLANES = 32
# As FreeSurfer's aparc+aseg has. Images in which most neighbors are equal, because
# voxels were doubled or set to one value, have more.
_MOST_LABELS = 120
_EXACT = 2**24  # all integers up to here are numbers of float32
_BLOCK = 64, 4  # voxels along the first two axes that are copied at once


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Image(Exchange):
    """Intensities on a grid, resampled linearly.

    Raises:
        InputError: If the array is not 3D, has not the grid's shape, or has voxels that
            are NaN or infinite.
    """

    data: np.ndarray
    """(I, J, K), stored as float32, read-only. An array that has this type and order is
    not copied, and must not change as long as the image is used."""
    grid: Grid
    dtype: np.dtype = field(init=False)
    """Type in which the image is written: that of the integers it was made of, as those
    of a file, or float32."""
    outside_value: float = field(init=False)
    """Intensity beyond the grid: 0, or the minimum if that is below 0."""

    def __post_init__(self) -> None:
        _check_shape("image", self.data, self.grid)
        object.__setattr__(self, "dtype", _written_type(self.data))
        with np.errstate(over="ignore"):
            data = _in_order(self.data, np.dtype(np.float32))
        ends = [float(data.min()), float(data.max())] if data.size else [0.0]
        if not np.isfinite(ends).all():
            bad = data.size - int(np.isfinite(data).sum())
            raise InputError(
                about="image",
                expected="finite voxels",
                got=f"{bad} of {data.size} that are NaN or infinite",
                advice="replace them (by 0 for background) and try again",
            )
        object.__setattr__(self, "data", _read_only(data))
        object.__setattr__(self, "outside_value", min(0.0, ends[0]))

    @property
    def stored(self) -> np.ndarray:
        """The voxels in the type in which they are written; copies of them keep it."""
        return self.data.astype(self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"<Image {self.grid.words}>"

    def _repr_html_(self) -> str:
        return _notebook_html(self)

    def _repr_png_(self) -> bytes:
        return _notebook_png(self)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class LabelMap(Exchange):
    """Integer labels on a grid, resampled by nearest neighbor; 0 is background.

    Raises:
        InputError: If the array is not 3D, has not the grid's shape, or holds anything
            but whole numbers, or floating-point numbers so large that those beside them
            cannot be told from them.
    """

    data: np.ndarray
    """(I, J, K), stored as an integer type of this machine, read-only."""
    grid: Grid

    def __post_init__(self) -> None:
        _check_shape("label map", self.data, self.grid)
        data = _in_order(self.data, self.data.dtype.newbyteorder("="))
        if data.dtype.kind not in "iu":
            data = _whole_numbers(data)
        object.__setattr__(self, "data", _read_only(data))

    @property
    def stored(self) -> np.ndarray:
        """The voxels in the type in which they are written."""
        return self.data

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels that occur, without background, ascending."""
        return tuple(int(label) for label in np.unique(self.data) if label != 0)

    def __repr__(self) -> str:
        return f"<LabelMap {self.grid.words}, {self.data.dtype}>"

    def _repr_html_(self) -> str:
        return _notebook_html(self)

    def _repr_png_(self) -> bytes:
        return _notebook_png(self)


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Positions in RAS+ mm, each with an optional name.

    Raises:
        InputError: If the array is not (N, 3) or not finite, or if there are names but
            not one per point.
    """

    mm: np.ndarray
    """(N, 3), RAS+ mm, float64, read-only."""
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mm = real_numbers(self.mm, "points", "positions in mm, of shape (N, 3)")
        if mm.ndim != 2 or mm.shape[1] != 3:
            raise InputError(about="points", expected="shape (N, 3)", got=mm.shape)
        if not np.isfinite(mm).all():
            raise InputError(
                about="points", expected="finite positions", got="NaN or infinity"
            )
        check_range(mm, "points")
        if self.names and len(self.names) != len(mm):
            raise InputError(
                about="points",
                expected=f"as many names as points ({len(mm)})",
                got=self.names,
            )
        object.__setattr__(self, "mm", _read_only(mm))

    def __repr__(self) -> str:
        return f"<Points {len(self.mm)}{', named' if self.names else ''}>"


Volume = Image | LabelMap


def labels_in_common(fixed: LabelMap, moving: LabelMap) -> tuple[int, ...]:
    """Labels that occur in both maps, without background, ascending.

    Raises:
        InputError: If there are none.
    """
    shared = sorted(set(fixed.labels) & set(moving.labels))
    if not shared:
        raise InputError(
            about="labels",
            expected="a label that occurs in both the fixed and the moving map",
            got=f"{fixed.labels[:9]} and {moving.labels[:9]}",
        )
    return tuple(shared)


def looks_like_labels(data: Num[np.ndarray, "i j k"]) -> bool:
    """Whether the array holds piecewise constant whole numbers, as only label maps do.

    Label maps have few different values, and among pairs of neighbors that are not both
    background, more than half are equal, but few in an image, where noise makes
    neighbors differ. About 32 planes are inspected, which is enough and quick.
    """
    planes = data[..., :: max(1, data.shape[2] // _INSPECTED_PLANES)]
    if not np.array_equal(planes, np.rint(planes)):
        return False
    values, counts = np.unique(planes, return_counts=True)
    if len(values) > _MOST_LABELS:
        return False
    background = values[counts.argmax()]
    equal = inside = 0
    for axis in (0, 1):
        along = np.moveaxis(planes, axis, 0)
        one, next_one = along[:-1], along[1:]
        is_inside = (one != background) | (next_one != background)
        inside += int(is_inside.sum())
        equal += int((is_inside & (one == next_one)).sum())
    return inside > 0 and equal > 0.5 * inside


def _notebook_html(volume: Volume) -> str:
    """The picture of a volume in a notebook.

    Drawing is above this package, which therefore asks for it at the library's face.
    """
    from voltween import notebook_html

    return notebook_html(volume)


def _notebook_png(volume: Volume) -> bytes:
    """The same picture as a file, for tools that show no HTML."""
    from voltween import notebook_png

    return notebook_png(volume)


def _check_shape(kind: str, data: Any, grid: Any) -> None:
    check_is_array(data, kind)
    check_is_grid(grid, f"grid of the {kind}")
    if data.ndim != 3:
        raise InputError(
            about=kind, expected="a 3D array", got=f"one of shape {data.shape}"
        )
    if data.shape != grid.shape:
        raise InputError(
            about=kind, expected=f"its grid's shape {grid.shape}", got=data.shape
        )


def _written_type(data: np.ndarray) -> np.dtype:
    """The type of integers that float32 holds exactly; float32 for all others."""
    if data.dtype.kind not in "iu" or not data.size:
        return np.dtype(np.float32)
    is_exact = np.iinfo(data.dtype).max <= _EXACT or (
        max(-int(data.min()), int(data.max())) <= _EXACT
    )
    return data.dtype.newbyteorder("=") if is_exact else np.dtype(np.float32)


def _in_order(data: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array (I, J, K) with k as the fastest axis; the same one if it is so already.

    In files, i is the fastest axis. Blocks that fit into a cache are turned over four
    times as fast as the whole.
    """
    if data.flags.c_contiguous:
        return np.ascontiguousarray(data, dtype)
    result = np.empty(data.shape, dtype)
    for i in range(0, data.shape[0], _BLOCK[0]):
        for j in range(0, data.shape[1], _BLOCK[1]):
            block = np.s_[i : i + _BLOCK[0], j : j + _BLOCK[1]]
            result[block] = data[block]
    return result


def _whole_numbers(data: np.ndarray) -> np.ndarray:
    """Floating-point or boolean labels as integers of the same value."""
    if data.dtype.kind == "b":
        return data.astype(np.uint8)
    if not np.array_equal(data, np.rint(data)):  # NaN equals nothing
        raise InputError(
            about="label map",
            expected="whole numbers",
            got="fractions or NaN",
            advice="is this an intensity image?",
        )
    largest = float(np.abs(data).max(initial=0))
    most = 2.0 ** (1 + np.finfo(data.dtype).nmant)
    if largest > most:
        raise InputError(
            about="label map",
            expected=f"labels up to {most:.0f}, which {data.dtype} tells apart",
            got=f"{largest:.17g}",
            advice="store the labels as integers",
        )
    return data.astype(np.int32 if largest < 2**31 else np.int64)


def _read_only(data: np.ndarray) -> np.ndarray:
    view = data.view()
    view.setflags(write=False)
    return view

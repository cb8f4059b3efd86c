"""Ways to read a volume between its voxels, at the mapped voxels of another grid.

All of them read a volume as far as half a voxel beyond the centers of its outermost
voxels, as ITK does, and give the fill value elsewhere.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from voltween.errors import InputError
from voltween.spatial.chain import map_positions, pick, sample, slabs
from voltween.spatial.native import native

Interpolation = Literal["linear", "nearest", "cubic", "label"]
"""Interpolation between voxels.

linear: of the eight voxels around a position.
nearest: the nearest voxel.
cubic: a cubic B-spline through the voxels, mirrored at the outermost ones. Its values
    can lie beyond those of the voxels.
label: the label with the largest share among the eight voxels around, weighted as by
    linear interpolation; the smaller one of two with the same share. Borders are
    smoother than with the nearest voxel, and no new label arises.
"""

_Shape = tuple[int, int, int]
_Volume = Shaped[np.ndarray, "i j k"]
_SLAB_VOXELS = 200_000
_CORNERS = np.array(list(np.ndindex(2, 2, 2)))


def interpolate(
    chain: native.Chain,
    volume: _Volume,
    shape: _Shape,
    *,
    interpolation: Interpolation,
    fill: float,
    within: Int[np.ndarray, "3 2"] | None = None,
) -> Shaped[np.ndarray, "_ _ _"]:
    """Reads a volume at the mapped voxels of a grid of this shape.

    Linear and cubic give float32; the others keep the type of the volume. `within` is
    for the nearest voxels: see `pick`.

    Raises:
        InputError: If the type of the volume does not hold the fill value.
    """
    if interpolation == "linear":
        return sample(chain, volume, shape, outside=fill)
    if interpolation == "cubic":
        return _cubic(chain, volume, shape, fill)
    value = _held(fill, volume.dtype)
    if interpolation == "label":
        return _largest_share(chain, volume, shape, value)
    result = pick(chain, volume, shape, within)
    if value != 0:
        ones = np.ones(volume.shape, np.uint8)
        result[pick(chain, ones, shape) == 0] = value
    return result


def _held(fill: float, dtype: np.dtype) -> np.generic:
    """The fill value in the type of a volume."""
    is_whole = dtype.kind in "iu"
    limits = np.iinfo(dtype) if is_whole else np.finfo(dtype)
    if not limits.min <= fill <= limits.max or (is_whole and fill != round(fill)):
        raise InputError(
            about="fill value", expected=f"a number that {dtype} holds", got=fill
        )
    return dtype.type(fill)


def _cubic(
    chain: native.Chain, volume: _Volume, shape: _Shape, fill: float
) -> Float[np.ndarray, "_ _ _"]:
    from scipy import ndimage  # takes 0.1 s

    coefficients = ndimage.spline_filter(
        volume.astype(np.float64), order=3, mode="mirror"
    )

    def read(positions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        return ndimage.map_coordinates(
            coefficients, positions.T, order=3, mode="mirror", prefilter=False
        )

    result = np.full(shape, fill, np.float32)
    _read_inside(chain, volume.shape, result, read)
    return result


def _largest_share(
    chain: native.Chain, labels: _Volume, shape: _Shape, fill: np.generic
) -> Shaped[np.ndarray, "_ _ _"]:
    last = np.array(labels.shape) - 1

    def read(positions: Float[np.ndarray, "n 3"]) -> Shaped[np.ndarray, " n"]:
        low = np.floor(positions)
        shares = positions - low
        around = (low.astype(int)[:, None] + _CORNERS).clip(0, last)
        weights = np.where(_CORNERS, shares[:, None], 1 - shares[:, None]).prod(axis=2)
        return _heaviest(labels[tuple(np.moveaxis(around, 2, 0))], weights)

    result = np.full(shape, fill, labels.dtype)
    _read_inside(chain, labels.shape, result, read)
    return result


def _heaviest(
    labels: Shaped[np.ndarray, "n 8"], weights: Float[np.ndarray, "n 8"]
) -> Shaped[np.ndarray, " n"]:
    """The label with the largest sum of weights in each row; the smallest of equals."""
    order = np.argsort(labels, axis=1, kind="stable")
    labels = np.take_along_axis(labels, order, axis=1)
    weights = np.take_along_axis(weights, order, axis=1)
    sums = [
        np.where(labels == labels[:, [n]], weights, 0).sum(axis=1) for n in range(8)
    ]
    best = np.argmax(sums, axis=0)
    return np.take_along_axis(labels, best[:, None], axis=1)[:, 0]


def _read_inside(
    chain: native.Chain,
    volume_shape: tuple[int, ...],
    result: Shaped[np.ndarray, "i j k"],
    read: Callable[[np.ndarray], np.ndarray],
) -> None:
    """Fills those voxels of the result that are mapped inside the volume."""
    for first, stop, positions, is_inside in _mapped_slabs(
        chain, volume_shape, result.shape
    ):
        if is_inside.any():
            part = result[first:stop].reshape(-1)
            part[is_inside] = read(positions[is_inside])
            result[first:stop] = part.reshape(stop - first, *result.shape[1:])


def _mapped_slabs(
    chain: native.Chain, volume_shape: tuple[int, ...], shape: tuple[int, ...]
) -> Iterator[tuple[int, int, Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]]:
    """Slabs of a grid: planes, positions in a volume, and which are inside it."""
    i, j, k = shape
    for first, stop in slabs((i, j, k), _SLAB_VOXELS):
        voxels = np.indices((stop - first, j, k), np.float64).reshape(3, -1).T
        voxels[:, 0] += first
        positions = map_positions(chain, voxels)
        limits = np.array(volume_shape) - 0.5
        is_inside = np.all((positions >= -0.5) & (positions < limits), axis=1)
        yield first, stop, positions, np.asarray(is_inside)


def check_interpolation(way: Interpolation, is_image: bool) -> None:
    """Checks that an image, or a label map, can be read in this way.

    Raises:
        InputError: If not.
    """
    ways = ("linear", "nearest", "cubic") if is_image else ("nearest", "label")
    if way not in ways:
        raise InputError(
            about=f"interpolation of {'an image' if is_image else 'labels'}",
            expected=" or ".join(ways),
            got=way,
        )

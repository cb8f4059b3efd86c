"""Resamples images of any number of numbers per voxel, and stores the result."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from voltween.errors import SuspiciousInputWarning
from voltween.spatial.grid import Grid
from voltween.spatial.interpolation import Interpolation
from voltween.spatial.multichannel import MultichannelImage
from voltween.spatial.transform import Transform
from voltween.spatial.vector_turning import turn_vectors
from voltween.spatial.volume import Image, LabelMap, Volume

# Rounding to whole numbers is then at most half a percent of what an image shows.
_FINE_STEPS = 100


@dataclass(frozen=True)
class Sampling:
    """Interpolation, fill value and number type of resampled voxels."""

    interpolation: Interpolation = "linear"
    fill: float | None = None
    """Value beyond the image. If not given, 0, or the minimum of the image if that is
    below 0, but always 0 for vectors and with the interpolation "label"."""
    dtype: np.dtype | None = None
    """Type of the result. If not given, that of the image where it holds the values:
    float32 takes the place of integers that span fewer than 100 steps, and of all but
    colors with cubic interpolation, which can leave their range."""


def resample_channels(
    transform: Transform,
    moving: MultichannelImage,
    *,
    onto: Grid,
    sampling: Sampling | None = None,
) -> MultichannelImage:
    """Resamples each number of a moving image onto a grid in fixed space: moving(T(x)).

    Vectors are turned as well; see `turn_vectors`. Numbers beyond the range of an
    integer type are set to its limits; with a `SuspiciousInputWarning` if the type was
    asked for.

    Raises:
        InputError: If the image has NaN; if it has fractions and its interpolation is
            that of labels; or if its type does not hold the fill value.
    """
    sampling = sampling or Sampling()
    is_turned = moving.meaning == "vectors"
    dtype = np.dtype(np.float32) if is_turned else _type_of_result(moving, sampling)
    result = np.empty((*onto.shape, moving.count), dtype)
    clipped = 0
    for number in range(moving.count):
        volume = _volume(moving, number, sampling.interpolation)
        values = transform.resample(
            volume,
            onto=onto,
            interpolation=sampling.interpolation,
            fill=_fill_value(moving, volume, sampling),
        ).data
        clipped += _store(values, result[..., number])
    if is_turned:
        turn_vectors(transform, result, onto)
        if sampling.dtype is not None:
            result = result.astype(sampling.dtype)
    if clipped and sampling.dtype is not None:
        warnings.warn(
            f"{clipped} of {result.size} numbers do not fit into {dtype}, and were set "
            "to its limits",
            SuspiciousInputWarning,
            stacklevel=2,
        )
    return MultichannelImage(result, onto, moving.meaning, moving.step_s)


def _volume(
    image: MultichannelImage, number: int, interpolation: Interpolation
) -> Volume:
    """One number of every voxel, in the class that keeps what the reading needs."""
    data = image.data[..., number]
    is_whole = data.dtype.kind in "iu" and interpolation == "nearest"
    if is_whole or interpolation == "label":
        return LabelMap(data, image.grid)
    return Image(data, image.grid)


def _fill_value(image: MultichannelImage, volume: Volume, sampling: Sampling) -> float:
    if sampling.fill is not None:
        return sampling.fill
    if image.meaning == "vectors" or sampling.interpolation == "label":
        return 0.0
    return float(volume.data.min(initial=0))


def _type_of_result(image: MultichannelImage, sampling: Sampling) -> np.dtype:
    if sampling.dtype is not None:
        return sampling.dtype
    own = image.data.dtype
    if own.kind == "b":
        own = np.dtype(np.uint8)
    if own.kind == "f" or sampling.interpolation in ("nearest", "label"):
        return own
    if image.meaning == "colors":
        return own
    if sampling.interpolation == "cubic" or not _has_fine_steps(image.data):
        return np.dtype(np.float32)
    is_held = sampling.fill is None or _holds(own, sampling.fill)
    return own if is_held else np.dtype(np.float32)


def _has_fine_steps(data: Shaped[np.ndarray, "i j k c"]) -> bool:
    return data.size > 0 and int(data.max()) - int(data.min()) >= _FINE_STEPS


def _holds(dtype: np.dtype, value: float) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max and value == round(value))


def _store(
    values: Shaped[np.ndarray, "i j k"], place: Shaped[np.ndarray, "i j k"]
) -> int:
    """Stores numbers in the type of their place; returns how many did not fit."""
    if place.dtype.kind not in "iu" or values.dtype == place.dtype:
        place[...] = values
        return 0
    limits = np.iinfo(place.dtype)
    rounded = np.rint(values.astype(np.float64, copy=False))
    # Float64 cannot say the largest 64-bit integers; the number below them can be said.
    high = np.nextafter(float(limits.max), 0) if limits.bits == 64 else limits.max
    outside = int(((rounded < limits.min) | (rounded > high)).sum())
    place[...] = rounded.clip(limits.min, high).astype(place.dtype)
    return outside

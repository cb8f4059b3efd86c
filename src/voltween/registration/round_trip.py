"""The error of an inverse: how far points return from where they started."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voltween.preprocessing import find_foreground, looks_like_ct
from voltween.spatial import Image, Transform, slabs

_ACCEPTABLE_SHARE = 0.05
"""Share of the foreground that may return from beyond the limit: the 95th percentile
of the error, which every registration shows, decides."""
_SLAB_VOXELS = 8_000_000  # of 5 bytes each; every slab copies fields to float32


def round_trip_errors_mm(
    fixed: Image, forward: Transform, backward: Transform
) -> Float[np.ndarray, " n"]:
    """Computes |x - backward(forward(x))| at the voxels x of a scan's foreground.

    `forward` maps fixed to moving world mm, `backward` moving to fixed world mm. The
    foreground is that of `find_foreground`; if no voxel is above its threshold, all
    voxels count. Works slab by slab: beside the result, in single precision, only a
    mask is held.
    """
    mask = _foreground(fixed)
    round_trip = backward @ forward
    errors_mm = np.empty(int(mask.sum()), np.float32)
    at = 0
    for first, stop in slabs(fixed.grid.shape, _SLAB_VOXELS):
        planes = fixed.grid.planes(first, stop)
        inner = round_trip.lengths_mm(planes, mask[first:stop])
        errors_mm[at : at + inner.size] = inner
        at += inner.size
    return errors_mm


class RoundTrip(NamedTuple):
    """The error of an inverse, over the foreground of the fixed scan."""

    error_mm: dict[str, float]
    """Its median, 95th percentile and largest value."""
    beyond_percent: float
    """Percentage of the foreground with an error above the limit."""
    worst_mm: tuple[float, float, float] | None
    """Center, RAS+ mm, of the largest connected part of it, if that is too much."""


def measure_round_trip(
    fixed: Image, forward: Transform, backward: Transform, *, limit_mm: float
) -> RoundTrip:
    """Measures `round_trip_errors_mm`, and finds the place where they are too many."""
    errors_mm = round_trip_errors_mm(fixed, forward, backward)
    is_beyond = errors_mm > limit_mm
    share, largest_mm = float(is_beyond.mean()), float(errors_mm.max())
    place = None
    if share > _ACCEPTABLE_SHARE:
        place = _center_of_largest_part_mm(fixed, is_beyond)
    # In place: the voxels of a large scan are not copied for it.
    median, percentile_95 = np.percentile(errors_mm, [50, 95], overwrite_input=True)
    figures = {
        "median": float(median),
        "percentile_95": float(percentile_95),
        "largest": largest_mm,
    }
    return RoundTrip(figures, 100 * share, place)


def _center_of_largest_part_mm(
    fixed: Image, is_part: Bool[np.ndarray, " n"]
) -> tuple[float, float, float]:
    """The center of the largest connected part of the foreground's chosen voxels."""
    from scipy import ndimage  # 0.1 s, and few registrations come here

    mask = _foreground(fixed)
    mask[mask] = is_part
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    voxels = ndimage.center_of_mass(parts == sizes.argmax())
    x, y, z = fixed.grid.voxel_to_world(np.array(voxels)).tolist()
    return x, y, z


def _foreground(image: Image) -> Bool[np.ndarray, "i j k"]:
    threshold = find_foreground(image, is_ct=looks_like_ct(image)).threshold
    mask = image.data > threshold
    return mask if mask.any() else np.ones_like(mask)

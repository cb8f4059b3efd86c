"""The mean of scans, voxel by voxel of a template's grid."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from voltween import io
from voltween.preprocessing import hounsfield_offset
from voltween.spatial import Grid, Image, Transform, slabs
from voltween.storage import check_free_space, workspace
from voltween.templates.survey import Survey

Average = Literal["mean", "trimmed", "median"]

_TRIMMED = 0.2  # of the scans, at either end
FEWEST_TO_TRIM = 5
"""Scans from which on one is left out at either end of a trimmed mean."""
_SLAB_VOXELS = 250_000  # of some copies of the voxels of all scans
_SHARPENED_VOXELS = 1.0  # sigma of the Gaussian of the unsharp mask
_AIR = -1000.0  # Hounsfield units; lower values are noise, or padding of scanners


@dataclass(frozen=True)
class AlignedScan:
    """A scan with its transform from the template's world to its own, RAS+ mm."""

    image: Path
    survey: Survey
    transform: Callable[[], Transform]
    """Reads it: the transforms of many scans have no room in memory at once."""

    def on(self, grid: Grid) -> Float[np.ndarray, "i j k"]:
        """Normalized intensities on a grid of the template; NaN beyond the scan."""
        image, from_template = io.read(self.image), self.transform()
        moved = from_template.resample(normalized(image, self.survey), onto=grid)
        everywhere = Image(np.ones(image.grid.shape, np.float32), image.grid)
        shown = from_template.resample(everywhere, onto=grid)
        return np.where(shown.data > 0.5, moved.data, np.float32(np.nan))


def normalized(image: Image, survey: Survey) -> Image:
    """The scan with intensities that can be averaged.

    They are 0 to about 1; those of a CT are Hounsfield units, from that of air upward.
    """
    if survey.is_ct:
        units = image.data - hounsfield_offset(image)
        return Image(units.clip(_AIR, None), image.grid)
    low, high = survey.range
    return Image((image.data - low) / (high - low), image.grid)


def average_scans(
    scans: Sequence[AlignedScan], grid: Grid, average: Average, place: Path
) -> Image:
    """The average of the scans on a grid, over those that show a voxel.

    A voxel that none of them shows is 0, or air if they are CT.

    Args:
        scans: At least one; all are CT, or none is.
        grid: The template's grid.
        average: The mean, the median, or the mean without a fifth of the scans at
            either end.
        place: The folder in which room for all moved scans is made.

    Raises:
        InputError: If a scan cannot be read.
        OutputError: If there is no room for the moved scans.
    """
    shape, empty = (len(scans), *grid.shape), _AIR if scans[0].survey.is_ct else 0.0
    with workspace(place) as folder:
        file = folder / "scans.npy"
        # A mapped file for which there is no room would end the process.
        check_free_space(place / file.name, 4 * math.prod(shape))
        stack = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]
            file, mode="w+", dtype=np.float32, shape=shape
        )
        for moved, scan in zip(stack, scans, strict=True):
            moved[:] = scan.on(grid)
        result = np.empty(grid.shape, np.float32)
        for first, stop in slabs(grid.shape, max(1, _SLAB_VOXELS // len(scans))):
            result[first:stop] = average_of(stack[:, first:stop], average, empty=empty)
        del stack  # Windows deletes no open file
    return Image(result, grid)


def average_of(
    values: Float[np.ndarray, "n *shape"], average: Average, *, empty: float = 0.0
) -> Float[np.ndarray, "*shape"]:
    """Averages along the first axis without NaN; `empty` where there is nothing else.

    The result is in single precision.
    """
    ordered = np.sort(values, axis=0)  # NaN come last
    count = np.isfinite(ordered).sum(axis=0)
    cut = _cut(count, average)
    rank = np.arange(len(ordered)).reshape(-1, *(1,) * (ordered.ndim - 1))
    is_kept = (rank >= cut) & (rank < count - cut)
    total = np.where(is_kept, ordered, 0).sum(axis=0, dtype=np.float64)
    mean = total / is_kept.sum(axis=0).clip(1)
    return np.where(count > 0, mean, empty).astype(np.float32)


def _cut(count: np.ndarray, average: Average) -> np.ndarray:
    """The number of values left out at either end."""
    if average == "median":
        return np.maximum(count - 1, 0) // 2
    share = _TRIMMED if average == "trimmed" else 0.0
    return np.floor(share * count).astype(int)


def sharpened(image: Image, amount: float) -> Image:
    """The image with its fine structure enhanced by an unsharp mask.

    What a Gaussian of one voxel takes away is added once more, times `amount`.
    Intensities stay within those of the image.
    """
    data = image.data.astype(np.float64)
    fine = data - gaussian_filter(data, _SHARPENED_VOXELS, mode="nearest")
    return Image((data + amount * fine).clip(data.min(), data.max()), image.grid)

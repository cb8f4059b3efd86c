"""Where the body is in a scan: its foreground and, of a head, the upper part.

Seen from afar, on a coarse grid, so that specks and fine structure do not decide.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from voltween.preprocessing.hounsfield import hounsfield_offset
from voltween.spatial import Grid, Image, directions_to_ras, resample_smoothly

_SURVEY_MM = 4.0
_FEWEST_SURVEY_VOXELS = 32  # along the longest side: small scans are surveyed finer
_STRAY_SHARE = 0.001  # of the foreground, left out of its box at either end: specks
_ABOVE_HEAD_MM = 6.0
_SMALLEST_HEAD_SLICE_MM2 = 1000.0
_HISTOGRAM_BINS = 256
_CT_AIR = -1000.0  # Hounsfield units; below it is padding only


class Foreground(NamedTuple):
    """The box around what is bright in a scan."""

    center_mm: Float[np.ndarray, " 3"]
    """Its middle, RAS+ mm."""
    extent_mm: Float[np.ndarray, " 3"]
    """Its sides along the scan's axes nearest to R, A and S."""
    threshold: float
    """Intensity above which a voxel belongs to the foreground."""


def find_foreground(image: Image, *, is_ct: bool = False) -> Foreground:
    """Where the foreground of a scan lies; the whole scan where nothing is bright.

    The outermost thousandth at either end is left out, so that specks do not count.
    """
    survey = _survey(image, is_ct=is_ct)
    edges = np.array([_edges(survey.area_voxels(axis)) for axis in range(3)])
    return Foreground(
        center_mm=survey.grid.voxel_to_world(edges.mean(axis=1)),
        extent_mm=np.ptp(edges, axis=1) * survey.grid.spacing_mm,
        threshold=survey.threshold,
    )


def resample_coarsely(image: Image) -> Image:
    """The whole image in RAS order on cubic voxels of 4 mm, or less if it is small."""
    directions = directions_to_ras(image.grid)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(image.grid.shape) - 1.0)
    along = (image.grid.voxel_to_world(corners) - image.grid.center_mm) @ directions
    extent_mm = np.ptp(along, axis=0)
    spacing_mm = float(min(_SURVEY_MM, extent_mm.max() / _FEWEST_SURVEY_VOXELS))
    # A little less than the quotient: rounding must not decide over one voxel more.
    sizes = np.ceil(extent_mm / spacing_mm - 1e-6).astype(int) + 1
    grid = Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=image.grid.center_mm,
        spacing_mm=(spacing_mm,) * 3,
        directions=directions,
    )
    return resample_smoothly(image, onto=grid)


def head_center_mm(
    image: Image, extent_mm: Float[np.ndarray, " 3"], *, is_ct: bool = False
) -> Float[np.ndarray, " 3"]:
    """Middle, RAS+ mm, of the box of `extent_mm` that hangs from the top of the head.

    Across, it is centered on the foreground of its upper half, so that nose, neck and
    shoulders do not pull it away.
    """
    survey = _survey(image, is_ct=is_ct)
    voxel_mm = survey.grid.spacing_mm[0]
    slices = np.flatnonzero(
        survey.area_voxels(2) * voxel_mm**2 > _SMALLEST_HEAD_SLICE_MM2
    )
    if slices.size == 0:
        return survey.grid.center_mm
    top = slices.max()
    depth = extent_mm[2] / voxel_mm
    upper = survey.foreground[:, :, max(0, top - int(depth / 2)) : top + 1]
    across = _middle(upper.max(axis=(1, 2))), _middle(upper.max(axis=(0, 2)))
    box_top = top + _ABOVE_HEAD_MM / voxel_mm
    return survey.grid.voxel_to_world(np.array([*across, box_top - depth / 2]))


class _Survey(NamedTuple):
    """A coarse grid over a whole scan in its own RAS order, and its foreground."""

    grid: Grid
    foreground: Bool[np.ndarray, "i j k"]
    threshold: float

    def area_voxels(self, axis: int) -> Int[np.ndarray, " n"]:
        """Foreground of every plane across an axis."""
        others = tuple({0, 1, 2} - {axis})
        return self.foreground.sum(axis=others)


def _survey(image: Image, *, is_ct: bool) -> _Survey:
    if is_ct:  # the padding of some scanners, -2000 or less, would pass for background
        air = _CT_AIR + hounsfield_offset(image)
        image = Image(image.data.clip(air, None), image.grid)
    coarse = resample_coarsely(image)
    threshold = _threshold(coarse.data, darkest=image.outside_value)
    return _Survey(coarse.grid, coarse.data > threshold, threshold)


def _edges(
    mass: Int[np.ndarray, " n"],
) -> tuple[float, float]:
    """Positions in voxels between which all but the strays lie; all if there is none.

    Between voxels they are continuous, so that rounding in one voxel moves them little.
    """
    borders = np.arange(mass.size + 1) - 0.5
    if not mass.any():
        return borders[0], borders[-1]
    share = np.concatenate([[0], mass.cumsum()]) / mass.sum()
    low, high = np.interp([_STRAY_SHARE, 1 - _STRAY_SHARE], share, borders)
    return low, high


def _threshold(data: Float[np.ndarray, "i j k"], *, darkest: float) -> float:
    """Half way from the darkest to Otsu's threshold, which best parts dark from bright.

    Half way, as a head's dark tissue (brain edge, skin) is foreground too. Bright
    outliers are clipped first.
    """
    data = data.clip(None, np.percentile(data, 99))
    counts, edges = np.histogram(data, bins=_HISTOGRAM_BINS)
    centers = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = data.size - below
    sum_below = (counts * centers).cumsum()[:-1]
    sum_above = (counts * centers).sum() - sum_below
    mean_gap = sum_below / below.clip(1) - sum_above / above.clip(1)
    optimum = float(centers[(below * above * mean_gap**2).argmax()])
    return darkest + (optimum - darkest) / 2


def _middle(occupied: Bool[np.ndarray, " n"]) -> float:
    indices = np.flatnonzero(occupied)
    return (indices[0] + indices[-1]) / 2

"""Finds the foreground (the body) in a scan and, in a head scan, the upper part.

Works on a coarse grid, so that specks and fine structure have no influence.
"""

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Float, Int

from voltween.preprocessing.hounsfield import hounsfield_offset
from voltween.spatial import Grid, Image, directions_to_ras, resample_smoothly

_SURVEY_MM = 4.0
_FEWEST_SURVEY_VOXELS = 32  # along the longest side; small scans get smaller voxels
_STRAY_SHARE = 0.001  # of the foreground, excluded at either end as specks
_ABOVE_HEAD_MM = 6.0
_SMALLEST_HEAD_SLICE_MM2 = 1000.0
_HISTOGRAM_BINS = 256
_CT_AIR = -1000.0  # Hounsfield units; lower values are padding


class Foreground(NamedTuple):
    """The box around the bright part of a scan, and the threshold that defines it."""

    center_mm: Float[np.ndarray, " 3"]
    """Middle of the box, RAS+ mm."""
    extent_mm: Float[np.ndarray, " 3"]
    """Sides of the box in mm, along the scan's axes nearest to R, A and S."""
    threshold: float
    """Intensity above which a voxel belongs to the foreground."""
    volume_mm3: float
    """Volume of all voxels above it."""


def find_foreground(image: Image, *, is_ct: bool = False) -> Foreground:
    """Finds the foreground of a scan; the whole scan if nothing is bright.

    The outermost thousandth of the foreground at either end is excluded, so that specks
    do not count.
    """
    survey = _survey(image, is_ct=is_ct)
    edges = np.array([_edges(survey.area_voxels(axis)) for axis in range(3)])
    return Foreground(
        center_mm=survey.grid.voxel_to_world(edges.mean(axis=1)),
        extent_mm=np.ptp(edges, axis=1) * survey.grid.spacing_mm,
        threshold=survey.threshold,
        volume_mm3=float(survey.foreground.sum() * survey.grid.spacing_mm.prod()),
    )


def resample_coarsely(image: Image) -> Image:
    """Resamples the whole image in RAS order to cubic voxels of 4 mm or less.

    The voxels are smaller if the longest side would have fewer than 32.
    """
    directions = directions_to_ras(image.grid)
    extent_mm = image.grid.extent_mm(directions)
    spacing_mm = float(min(_SURVEY_MM, extent_mm.max() / _FEWEST_SURVEY_VOXELS))
    # Slightly less than the quotient, so that rounding cannot add a voxel.
    sizes = np.ceil(extent_mm / spacing_mm - 1e-6).astype(int) + 1
    grid = Grid.centered(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        center_mm=image.grid.center_mm,
        spacing_mm=(spacing_mm,) * 3,
        directions=directions,
    )
    return resample_smoothly(image, onto=grid)


class Head(NamedTuple):
    """The part of a head that a box below its top is laid around."""

    center_mm: Float[np.ndarray, " 3"]
    """Middle of the box, RAS+ mm."""
    extent_mm: Float[np.ndarray, " 3"]
    """Sides of what is shown, in mm, along the scan's axes nearest to R, A and S: of
    the upper half of the box across, and of the whole box along S."""


def find_head(
    image: Image, box_mm: Float[np.ndarray, " 3"], *, is_ct: bool = False
) -> Head | None:
    """Finds the head in a box of `box_mm` below its top; None if there is no head.

    Along R and A the box is centered on the foreground of its upper half, so that nose,
    neck and shoulders do not shift it.
    """
    survey = _survey(image, is_ct=is_ct)
    voxel_mm = float(survey.grid.spacing_mm[0])
    slices = np.flatnonzero(
        survey.area_voxels(2) * voxel_mm**2 > _SMALLEST_HEAD_SLICE_MM2
    )
    if slices.size == 0:
        return None
    top = int(slices.max())
    depth = float(box_mm[2]) / voxel_mm
    upper = survey.foreground[:, :, max(0, top - int(depth / 2)) : top + 1]
    across = [np.flatnonzero(upper.max(axis=axes)) for axes in ((1, 2), (0, 2))]
    box_top = top + _ABOVE_HEAD_MM / voxel_mm
    middle = [*((places[0] + places[-1]) / 2 for places in across), box_top - depth / 2]
    sides = [*(np.ptp(places) + 1 for places in across)]
    height = min(top - int(slices.min()) + 1, depth)
    return Head(
        survey.grid.voxel_to_world(np.array(middle)),
        np.array([*sides, height]) * voxel_mm,
    )


class _Survey(NamedTuple):
    """The foreground of a whole scan on a coarse grid in RAS order."""

    grid: Grid
    foreground: Bool[np.ndarray, "i j k"]
    threshold: float

    def area_voxels(self, axis: int) -> Int[np.ndarray, " n"]:
        """Number of foreground voxels in every plane perpendicular to an axis."""
        others = tuple({0, 1, 2} - {axis})
        return self.foreground.sum(axis=others)


_surveys: WeakKeyDictionary[Image, dict[bool, _Survey]] = WeakKeyDictionary()
"""Surveys of the scans in use: a registration asks several times for that of a scan."""


def _survey(image: Image, *, is_ct: bool) -> _Survey:
    surveys = _surveys.setdefault(image, {})
    if is_ct not in surveys:
        surveys[is_ct] = _make_survey(image, is_ct=is_ct)
    return surveys[is_ct]


def _make_survey(image: Image, *, is_ct: bool) -> _Survey:
    if is_ct:  # padding of some scanners, -2000 or less, would distort the threshold
        air = _CT_AIR + hounsfield_offset(image)
        image = Image(image.data.clip(air, None), image.grid)
    coarse = resample_coarsely(image)
    threshold = _threshold(coarse.data, darkest=image.outside_value)
    return _Survey(coarse.grid, coarse.data > threshold, threshold)


def _edges(
    mass: Int[np.ndarray, " n"],
) -> tuple[float, float]:
    """Positions in voxels between which all foreground but specks lies.

    The ends of the grid if there is no foreground. Positions are continuous, so that
    rounding in one voxel moves them little.
    """
    borders = np.arange(mass.size + 1) - 0.5
    if not mass.any():
        return borders[0], borders[-1]
    share = np.concatenate([[0], mass.cumsum()]) / mass.sum()
    low, high = np.interp([_STRAY_SHARE, 1 - _STRAY_SHARE], share, borders)
    return low, high


def _threshold(data: Float[np.ndarray, "i j k"], *, darkest: float) -> float:
    """Computes the intensity half way from the darkest to Otsu's threshold.

    Half way, because a head's dark tissue (brain edge, skin) is foreground too. Bright
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

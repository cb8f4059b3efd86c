"""From a scan as stored to what a network sees, by rules saved with the model.

Each image gets a canonical grid of its own: its own axes in the order and direction
nearest to RAS, the model's spacing and shape, placed by the model's rule. Nothing is
asked of the user.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter

from voltween.errors import InputError
from voltween.space import Grid, directions_to_ras, nearest_world_axes
from voltween.transform import Affine
from voltween.volume import Image, looks_like_labels

Placement = Literal["grid centre", "head", "foreground"]

_SURVEY_MM = 4.0
_FEWEST_SURVEY_VOXELS = 32  # along the longest side: small scans are surveyed finer
_STRAY_SHARE = 0.001  # of the foreground, left out of its box at either end: specks
_ABOVE_HEAD_MM = 6.0
_SMALLEST_HEAD_SLICE_MM2 = 1000.0
_HISTOGRAM_BINS = 256
_WIDTH_OF_GAUSSIAN = 2 * np.sqrt(2 * np.log(2))  # at half height, in sigmas
_FOREGROUND = 1e-3  # of the range of intensities, above the darkest
_CT_OFFSET = 1000.0  # added by many writers of CT, so that values are not negative
_CT_AIR = -1000.0  # Hounsfield units; below it is padding only
_CT_LOWEST_WITH_OFFSET = -200.0  # every scan shows air: one without has the offset


@dataclass(frozen=True)
class Preprocessing:
    """How a scan becomes network input.

    Raises:
        InputError: If a number is out of range.
    """

    shape: tuple[int, int, int]
    """Voxels of the canonical grid."""
    spacing_mm: tuple[float, float, float]
    """Its voxel size along R, A and S."""
    placement: Placement = "grid centre"
    """Where it goes: on the middle of the scan, on the upper part of a head (the box
    from the top of the foreground downwards), or on the middle of the foreground."""
    intensity_percentiles: tuple[float, float] = (0.5, 99.5)
    """Percentiles of the foreground that become 0 and 1; values beyond are clipped."""
    hounsfield_window: tuple[float, float] | None = None
    """Hounsfield units that become 0 and 1, for CT; percentiles are then not used. A
    scan without a value below -200 is taken to be stored with 1000 added."""

    def __post_init__(self) -> None:
        window = self.hounsfield_window
        if window is not None and not window[0] < window[1]:
            raise InputError(f"hounsfield_window must rise, got {window}")
        low, high = self.intensity_percentiles
        if not 0 <= low < high <= 100:
            raise InputError(
                "intensity_percentiles must rise within 0 to 100, got "
                f"{self.intensity_percentiles}"
            )
        if min(self.spacing_mm) <= 0:
            raise InputError(f"spacing_mm must be positive, got {self.spacing_mm}")

    def canonical_grid(self, image: Image) -> Grid:
        """The grid on which a network sees this image."""
        directions = directions_to_ras(image.grid)
        extent_mm = np.array(self.shape) * self.spacing_mm
        is_ct = self.hounsfield_window is not None
        if self.placement == "head":
            centre_mm = head_centre_mm(image, extent_mm, is_ct=is_ct)
        elif self.placement == "foreground":
            centre_mm = foreground_of(image, is_ct=is_ct).centre_mm
        else:
            centre_mm = image.grid.centre_mm
        return Grid.centred(
            self.shape,
            centre_mm=centre_mm,
            spacing_mm=self.spacing_mm,
            directions=directions,
        )

    def normalized(self, image: Image) -> Image:
        """The image on its canonical grid, intensities from 0 to 1.

        Raises:
            InputError: If the image is constant, or is a label map.
        """
        check_has_contrast(image)
        canonical = _sampled(image, onto=self.canonical_grid(image))
        low, high = self._intensity_range(canonical, image)
        scaled = (canonical.data - low) / max(
            high - low, float(np.finfo(np.float32).tiny)
        )
        return Image(scaled.clip(0, 1), canonical.grid)

    def _intensity_range(self, canonical: Image, image: Image) -> tuple[float, float]:
        """The intensities that become 0 and 1."""
        if self.hounsfield_window is not None:
            low, high = self.hounsfield_window
            offset = hounsfield_offset(image)
            return low + offset, high + offset
        if canonical.data.min() == canonical.data.max():
            raise InputError(
                "image is constant within the region the model looks at "
                f"({self.placement}): expected a scan of what the model was trained on"
            )
        return foreground_range(canonical, self.intensity_percentiles)


class Foreground(NamedTuple):
    """The box around what is bright in a scan."""

    centre_mm: Float[np.ndarray, " 3"]
    """Its middle, RAS+ mm."""
    extent_mm: Float[np.ndarray, " 3"]
    """Its sides along the scan's axes nearest to R, A and S."""
    threshold: float
    """Intensity above which a voxel belongs to the foreground."""


def foreground_of(image: Image, *, is_ct: bool = False) -> Foreground:
    """Where the foreground of a scan lies; the whole scan where nothing is bright.

    The outermost thousandth at either end is left out, so that specks do not count.
    """
    survey = _survey(image, is_ct=is_ct)
    edges = np.array([_edges(survey.area_voxels(axis)) for axis in range(3)])
    return Foreground(
        centre_mm=survey.grid.voxel_to_world(edges.mean(axis=1)),
        extent_mm=np.ptp(edges, axis=1) * survey.grid.spacing_mm,
        threshold=survey.threshold,
    )


def foreground_range(
    image: Image, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Two percentiles of all but the darkest voxels; darkest and brightest if equal."""
    darkest, brightest = float(image.data.min()), float(image.data.max())
    is_foreground = image.data > darkest + _FOREGROUND * (brightest - darkest)
    low, high = np.percentile(image.data[is_foreground], percentiles)
    return (float(low), float(high)) if low < high else (darkest, brightest)


def hounsfield_offset(image: Image) -> float:
    """What was added to the Hounsfield units of a CT when it was stored: 0 or 1000."""
    return _CT_OFFSET if image.data.min() > _CT_LOWEST_WITH_OFFSET else 0.0


def check_has_contrast(image: Image) -> None:
    """Refuse what cannot be registered.

    Raises:
        InputError: If the image is constant, or is a label map.
    """
    low, high = float(image.data.min()), float(image.data.max())
    if low == high:
        raise InputError(
            f"image is constant (every voxel is {low:g}): there is nothing to register"
        )
    if looks_like_labels(image.data):
        raise InputError(
            "expected an intensity image, got what looks like a label map (whole "
            "numbers, constant in pieces): give label maps as labels"
        )


def _sampled(image: Image, *, onto: Grid) -> Image:
    """The image on another grid along its own axes, without aliasing if coarser."""
    return Affine.identity().resample(
        _with_soft_edge(_smoothed(image, onto)), onto=onto
    )


def _smoothed(image: Image, onto: Grid) -> Image:
    """The image as blurred as voxels of `onto` would make it.

    A Gaussian takes the width at half height from one voxel to the other's; widths add
    in squares.

    References:
        Cardoso et al. 2015, Scale factor point spread function matching,
        doi:10.1007/978-3-319-24571-3_81.
    """
    own_mm = image.grid.spacing_mm
    other_mm = onto.spacing_mm[list(nearest_world_axes(image.grid))]
    missing_mm = np.sqrt(np.maximum(other_mm**2 - own_mm**2, 0))
    sigma_voxels = missing_mm / _WIDTH_OF_GAUSSIAN / own_mm
    data = gaussian_filter(image.data, sigma_voxels, mode="nearest", truncate=2.5)
    return Image(data, image.grid)


def _with_soft_edge(image: Image) -> Image:
    """The image with one voxel more of its outside value on every side.

    Resampling is then continuous where the image ends: voxels that fall right on its
    edge, as they do where both grids have one spacing, are not in or out by rounding.
    """
    data = np.pad(image.data, 1, constant_values=image.outside_value)
    return Image(data, image.grid.padded(1))


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
    coarse = coarse_view(image)
    threshold = _threshold(coarse.data, darkest=image.outside_value)
    return _Survey(coarse.grid, coarse.data > threshold, threshold)


def coarse_view(image: Image) -> Image:
    """The whole image in RAS order on cubic voxels of 4 mm, or less if it is small."""
    directions = directions_to_ras(image.grid)
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(image.grid.shape) - 1.0)
    along = (image.grid.voxel_to_world(corners) - image.grid.centre_mm) @ directions
    extent_mm = np.ptp(along, axis=0)
    spacing_mm = float(min(_SURVEY_MM, extent_mm.max() / _FEWEST_SURVEY_VOXELS))
    # A little less than the quotient: rounding must not decide over one voxel more.
    sizes = np.ceil(extent_mm / spacing_mm - 1e-6).astype(int) + 1
    grid = Grid.centred(
        (int(sizes[0]), int(sizes[1]), int(sizes[2])),
        centre_mm=image.grid.centre_mm,
        spacing_mm=(spacing_mm,) * 3,
        directions=directions,
    )
    return _sampled(image, onto=grid)


def head_centre_mm(
    image: Image, extent_mm: Float[np.ndarray, " 3"], *, is_ct: bool = False
) -> Float[np.ndarray, " 3"]:
    """Middle, RAS+ mm, of the box of `extent_mm` that hangs from the top of the head.

    Across, it is centred on the foreground of its upper half, so that nose, neck and
    shoulders do not pull it away.
    """
    survey = _survey(image, is_ct=is_ct)
    voxel_mm = survey.grid.spacing_mm[0]
    slices = np.flatnonzero(
        survey.area_voxels(2) * voxel_mm**2 > _SMALLEST_HEAD_SLICE_MM2
    )
    if slices.size == 0:
        return survey.grid.centre_mm
    top = slices.max()
    depth = extent_mm[2] / voxel_mm
    upper = survey.foreground[:, :, max(0, top - int(depth / 2)) : top + 1]
    across = _middle(upper.max(axis=(1, 2))), _middle(upper.max(axis=(0, 2)))
    box_top = top + _ABOVE_HEAD_MM / voxel_mm
    return survey.grid.voxel_to_world(np.array([*across, box_top - depth / 2]))


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
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()[:-1]
    above = data.size - below
    sum_below = (counts * centres).cumsum()[:-1]
    sum_above = (counts * centres).sum() - sum_below
    mean_gap = sum_below / below.clip(1) - sum_above / above.clip(1)
    optimum = float(centres[(below * above * mean_gap**2).argmax()])
    return darkest + (optimum - darkest) / 2


def _middle(occupied: Bool[np.ndarray, " n"]) -> float:
    indices = np.flatnonzero(occupied)
    return (indices[0] + indices[-1]) / 2

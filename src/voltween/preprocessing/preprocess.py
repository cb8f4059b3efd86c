"""Preprocesses a stored scan to network input, by rules saved with the model.

Each image gets its own canonical grid: the image's axes in the order and direction
nearest to RAS, with the model's spacing and shape, placed by the model's rule.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError, SuspiciousInputWarning, check_range
from voltween.preprocessing.field_of_view import coverage
from voltween.preprocessing.foreground import find_foreground, find_head
from voltween.preprocessing.hounsfield import hounsfield_offset
from voltween.spatial import (
    Grid,
    Image,
    directions_to_ras,
    looks_like_labels,
    resample_smoothly,
    spacing_and_shape,
)
from voltween.storage import named

Placement = Literal["grid centre", "head", "foreground"]
Surroundings = Literal["dark", "border"]

_AXES = ("RL", "AP", "SI")
_SPACINGS_MM = 1e-6, 1e6  # smallest and largest of any use
_FOREGROUND = 1e-3  # share of the intensity range above the darkest voxel


@dataclass(frozen=True)
class Preprocessing:
    """The rules by which a scan becomes network input.

    Raises:
        InputError: If a number is out of range.
    """

    shape: tuple[int, int, int]
    """Voxels of the canonical grid."""
    spacing_mm: tuple[float, float, float]
    """Its voxel size along R, A and S."""
    placement: Placement = "grid centre"
    """Place of the canonical grid: centered on the scan, on the upper part of a head
    (from the top of the foreground downwards), or on the foreground."""
    intensity_percentiles: tuple[float, float] = (0.5, 99.5)
    """Percentiles of the foreground that become 0 and 1; values beyond are clipped."""
    hounsfield_window: tuple[float, float] | None = None
    """Hounsfield units that become 0 and 1, for CT; percentiles are then not used. A
    scan without a value below -200 is assumed to be stored with 1000 added."""
    surroundings: Surroundings = "dark"
    """Intensity beyond the scan: dark, or the median of the scan's border, so that a
    scan with a bright background has no edge where it ends."""
    axes: str = "RAS"
    """Anatomical directions in which the axes of the canonical grid rise: right or
    left, anterior or posterior, superior or inferior. RAS unless the network learned
    from scans that are stored otherwise."""

    def __post_init__(self) -> None:
        window = self.hounsfield_window
        if window is not None and not window[0] < window[1]:
            raise InputError(
                about="hounsfield_window", expected="two rising values", got=window
            )
        low, high = self.intensity_percentiles
        if not 0 <= low < high <= 100:
            raise InputError(
                about="intensity_percentiles",
                expected="two rising values within 0 to 100",
                got=self.intensity_percentiles,
            )
        if len(self.axes) != 3 or any(
            letter not in pair for letter, pair in zip(self.axes, _AXES, strict=True)
        ):
            raise InputError(
                about="axes",
                expected="R or L, A or P, S or I, in this order, such as RAS",
                got=repr(self.axes),
            )
        if min(self.spacing_mm) <= 0:
            raise InputError(
                about="spacing_mm", expected="positive values", got=self.spacing_mm
            )
        check_range("spacing_mm", min(self.spacing_mm), *_SPACINGS_MM)
        check_range("spacing_mm", max(self.spacing_mm), *_SPACINGS_MM)

    def canonical_grid(self, image: Image) -> Grid:
        """Computes the grid, RAS+ mm, on which a network sees this image."""
        signs = [1 if letter in "RAS" else -1 for letter in self.axes]
        directions = directions_to_ras(image.grid) * signs
        center_mm, _ = self._surrounded(image)
        return Grid.centered(
            self.shape,
            center_mm=center_mm,
            spacing_mm=self.spacing_mm,
            directions=directions,
        )

    def surrounded_mm(self, image: Image) -> Float[np.ndarray, " 3"]:
        """Measures what the canonical grid is laid around in this image.

        Returns:
            The sides in mm, along the image's axes nearest to R, A and S, of the scan,
            of its foreground, or of the head as far down as the grid reaches.
        """
        return self._surrounded(image)[1]

    def _surrounded(
        self, image: Image
    ) -> tuple[Float[np.ndarray, " 3"], Float[np.ndarray, " 3"]]:
        """Middle of the grid, RAS+ mm, and sides in mm of what it is laid around."""
        is_ct = self.hounsfield_window is not None
        if self.placement == "foreground":
            foreground = find_foreground(image, is_ct=is_ct)
            return foreground.center_mm, foreground.extent_mm
        if self.placement == "head":
            box_mm = np.array(self.shape) * self.spacing_mm
            if head := find_head(image, box_mm, is_ct=is_ct):
                return head
        spacing_mm, shape = spacing_and_shape(image.grid)
        return image.grid.center_mm, spacing_mm * shape

    def normalize(self, image: Image, *, onto: Grid | None = None) -> Image:
        """Resamples an image onto its canonical grid (or `onto`), intensities 0 to 1.

        Raises:
            InputError: If the image is constant, there or anywhere.
        """
        check_is_scan(image)
        grid = onto or self.canonical_grid(image)
        canonical = resample_smoothly(image, onto=grid)
        if self.surroundings == "border":
            missing = 1 - coverage(grid, by=image.grid)
            brighter = border_brightness(image) - image.outside_value
            canonical = Image(canonical.data + missing * brighter, grid)
        low, high = self._intensity_range(canonical, image)
        scaled = (canonical.data - low) / max(
            high - low, float(np.finfo(np.float32).tiny)
        )
        return Image(scaled.clip(0, 1), canonical.grid)

    def _intensity_range(self, canonical: Image, image: Image) -> tuple[float, float]:
        """The two intensities that become 0 and 1."""
        if self.hounsfield_window is not None:
            low, high = self.hounsfield_window
            offset = hounsfield_offset(image)
            return low + offset, high + offset
        if canonical.data.min() == canonical.data.max():
            raise InputError(
                expected="intensities that differ within the region the model sees",
                got=f"a constant region (placement: {self.placement})",
                advice="give a scan of the kind that the model was trained on",
            )
        return foreground_range(canonical, self.intensity_percentiles)


def foreground_range(
    image: Image, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Computes two percentiles of the intensities of all but the darkest voxels.

    If the two are equal, the darkest and the brightest intensity.
    """
    darkest, brightest = float(image.data.min()), float(image.data.max())
    is_foreground = image.data > darkest + _FOREGROUND * (brightest - darkest)
    low, high = np.percentile(image.data[is_foreground], percentiles)
    return (float(low), float(high)) if low < high else (darkest, brightest)


def border_brightness(image: Image) -> float:
    """Median intensity of the scan's outermost voxels."""
    data, ends, inner = image.data, [0, -1], slice(1, -1)
    faces = data[ends], data[inner, ends], data[inner, inner, ends]
    return float(np.median(np.concatenate([face.ravel() for face in faces])))


def check_is_scan(image: Image) -> None:
    """Checks that an image can be registered; warns if it looks like a label map.

    Raises:
        InputError: If the image is constant.
    """
    check_has_contrast(image)
    if looks_like_labels(image.data):
        warnings.warn(
            named(
                "the scan looks like a label map (few values, piecewise constant): if "
                "it is one, give it as labels, beside the scan that it was drawn on"
            ),
            SuspiciousInputWarning,
            stacklevel=2,
        )


def check_has_contrast(image: Image) -> None:
    """Checks that the intensities of an image differ.

    Raises:
        InputError: If the image is constant.
    """
    low, high = float(image.data.min()), float(image.data.max())
    if low == high:
        raise InputError(
            expected="intensities that differ",
            got=f"a constant image (every voxel is {low:g})",
            advice="it shows nothing to register",
        )

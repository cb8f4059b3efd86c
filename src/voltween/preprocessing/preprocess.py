"""From a scan as stored to what a network sees, by rules saved with the model.

Each image gets a canonical grid of its own: its own axes in the order and direction
nearest to RAS, the model's spacing and shape, placed by the model's rule. Nothing is
asked of the user.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from voltween.errors import InputError
from voltween.preprocessing.foreground import find_foreground, head_center_mm
from voltween.preprocessing.hounsfield import hounsfield_offset
from voltween.spatial import (
    Grid,
    Image,
    directions_to_ras,
    looks_like_labels,
    resample_smoothly,
)

Placement = Literal["grid centre", "head", "foreground"]
Surroundings = Literal["dark", "border"]

_FOREGROUND = 1e-3  # of the range of intensities, above the darkest


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
    surroundings: Surroundings = "dark"
    """What is beyond the scan: dark, or as bright as most of its border, so that a scan
    with a bright background has no edge where it ends."""

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
            center_mm = head_center_mm(image, extent_mm, is_ct=is_ct)
        elif self.placement == "foreground":
            center_mm = find_foreground(image, is_ct=is_ct).center_mm
        else:
            center_mm = image.grid.center_mm
        return Grid.centered(
            self.shape,
            center_mm=center_mm,
            spacing_mm=self.spacing_mm,
            directions=directions,
        )

    def normalize(self, image: Image, *, onto: Grid | None = None) -> Image:
        """The image on its canonical grid, or another, intensities from 0 to 1.

        Raises:
            InputError: If the image is constant, or is a label map.
        """
        check_has_contrast(image)
        grid = onto or self.canonical_grid(image)
        canonical = resample_smoothly(image, onto=grid)
        if self.surroundings == "border":
            missing = 1 - _coverage(image, grid)
            brighter = border_brightness(image) - image.outside_value
            canonical = Image(canonical.data + missing * brighter, grid)
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


def foreground_range(
    image: Image, percentiles: tuple[float, float]
) -> tuple[float, float]:
    """Two percentiles of all but the darkest voxels; darkest and brightest if equal."""
    darkest, brightest = float(image.data.min()), float(image.data.max())
    is_foreground = image.data > darkest + _FOREGROUND * (brightest - darkest)
    low, high = np.percentile(image.data[is_foreground], percentiles)
    return (float(low), float(high)) if low < high else (darkest, brightest)


def border_brightness(image: Image) -> float:
    """Median intensity of the scan's outermost voxels."""
    is_inner = np.zeros(image.grid.shape, dtype=bool)
    is_inner[1:-1, 1:-1, 1:-1] = True
    return float(np.median(image.data[~is_inner]))


def _coverage(image: Image, grid: Grid) -> Float[np.ndarray, "i j k"]:
    """How much of a voxel lies within the scan, 0 to 1."""
    return resample_smoothly(
        Image(np.ones(image.grid.shape), image.grid), onto=grid
    ).data


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

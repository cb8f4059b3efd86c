"""Renders a scan of random contrast from a label map in a random pose and shape."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor
from torch.nn import functional

from voltween.preprocessing import Preprocessing, foreground_range
from voltween.spatial import Grid, Image
from voltween.training.acquisition import acquire
from voltween.training.augmentation import (
    Augmentation,
    augment_intensities,
    random_flow,
)
from voltween.training.label_volumes import LabelVolume
from voltween.training.label_warping import label_tensor
from voltween.training.placing import Placed, look_up, place, share_of
from voltween.training.synthesis import Synthesis
from voltween.training.tissues import Tissues

_LEVELS = 256  # of the scans that are kept
_LARGEST_SPREAD = 0.08  # standard deviation within a tissue; SynthSeg: 25 of 255
_DARK_AIR = 0.75  # share of the scans whose air is black
_AS_IT_IS = 1 / 3  # share of the shown scans without a curve
_STEPS = 0.5  # share of the curves of unlabeled voxels that are stairs
_MASK_THRESHOLDS = 0.2, 0.6  # of the smoothed structures; low ones leave a rim
_MASK_RAMP = 0.3


class Rendered(NamedTuple):
    """One side of a synthesized pair."""

    image: Float[Tensor, "1 i j k"]
    """Intensities, 0 to 1."""
    codes: Integer[Tensor, "block i j k"]
    """Index into `structures` of every fine voxel."""
    structures: Int[np.ndarray, " n"]
    """The structure of every code; 0 is none."""
    is_stripped: bool
    """Whether the image shows nothing outside the structures."""
    scan: Float[Tensor, "1 i j k"] | None
    """Intensities of the scan in its own contrast, if the case has one."""
    dark: float
    """Intensity below which the scan shows air."""

    def labels(self) -> Int[Tensor, "1 i j k"]:
        """The structure of the first fine voxel of every voxel."""
        return label_tensor(look_up(self.structures, self.codes[0]).numpy())


@dataclass(frozen=True)
class Renderer:
    """Renders label volumes with the settings of a training."""

    preprocessing: Preprocessing
    synthesis: Synthesis
    augmentation: Augmentation
    tissues: Tissues

    def render(
        self, volume: LabelVolume, rng: np.random.Generator, *, is_at_rest: bool = False
    ) -> Rendered:
        """Renders a volume; the result depends on the volume and the numbers alone.

        Args:
            volume: The volume.
            rng: Random numbers.
            is_at_rest: Whether pose and shape are the volume's own.
        """
        shape = self.preprocessing.shape
        flow = None if is_at_rest else random_flow(shape, self.augmentation, rng)
        placed = place(volume, shape, self.synthesis.subdivision, flow)
        classes, structures = self.tissues.of(volume.cohort, volume.values.numpy())
        air = 0.0 if rng.uniform() < _DARK_AIR else float(rng.uniform())
        if placed.scan is not None and rng.uniform() < self.synthesis.scans:
            image = look_up(_scan_curve(volume, air, rng), placed.scan).mean(0)
        else:
            image = self._paint(volume, placed, classes, air, rng)
        image = self._acquire(image, rng)[None]
        image = augment_intensities(image, self.augmentation, rng)
        is_stripped = bool(rng.uniform() < self.synthesis.stripped)
        if is_stripped:
            inside = share_of(look_up(structures != 0, placed.codes))
            mask = _mask(inside[None], rng)
            image = image * mask + air * (1 - mask)
        return Rendered(
            self._normalize(image),
            placed.codes,
            structures,
            is_stripped,
            _scan_of(placed),
            volume.dark,
        )

    def _paint(
        self,
        volume: LabelVolume,
        placed: Placed,
        classes: Int[np.ndarray, " n"],
        air: float,
        rng: np.random.Generator,
    ) -> Float[Tensor, "i j k"]:
        """The volume in random intensities, one mean and spread per tissue class."""
        kinds, kind_of_code = np.unique(classes, return_inverse=True)
        means = rng.uniform(0, 1, len(kinds))[kind_of_code]
        spreads = _LARGEST_SPREAD * rng.uniform(0, 1, len(kinds))[kind_of_code]
        is_labeled = volume.values.numpy() != 0
        means, spreads = np.where(is_labeled, (means, spreads), 0)
        image = look_up(means, placed.codes).mean(0)
        if placed.scan is not None:
            curve = _surroundings_curve(volume, air, rng)
            around = look_up(curve, placed.scan)
            image += (around * ~look_up(is_labeled, placed.codes)).mean(0)
        elif not is_labeled.all():
            unlabeled = share_of(look_up(~is_labeled, placed.codes))
            image += unlabeled * self._around(air, rng)
        spread = look_up(spreads, placed.codes[0])
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        return image + spread * torch.from_numpy(noise)

    def _around(
        self, air: float, rng: np.random.Generator
    ) -> Float[Tensor, "i j k"] | float:
        """Intensities of unlabeled voxels of a case without a scan."""
        if self.synthesis.unlabeled == "dark":
            return air
        size = rng.integers(3, 9, 3).tolist()
        noise = torch.from_numpy(rng.uniform(0, 1, size).astype(np.float32))
        smooth = functional.interpolate(
            noise[None, None], size=self.preprocessing.shape, mode="trilinear"
        )[0, 0]
        low, high = float(smooth.min()), float(smooth.max())
        levels = ((smooth - low) / max(high - low, 1e-6) * (_LEVELS - 1)).to(
            torch.uint8
        )
        return look_up(random_curve(rng, is_stairs=True), levels)

    def _acquire(
        self, image: Float[Tensor, "i j k"], rng: np.random.Generator
    ) -> Float[Tensor, "i j k"]:
        i, j, k = (self.synthesis.slice_mm / mm for mm in self.preprocessing.spacing_mm)
        return acquire(
            image,
            rng,
            blur_voxels=self.synthesis.blur_voxels,
            slice_voxels=(i, j, k),
        ).clamp(0, 1)

    def _normalize(self, image: Float[Tensor, "1 i j k"]) -> Float[Tensor, "1 i j k"]:
        """The image as `Preprocessing.normalize` scales it."""
        data = image[0].numpy()
        if data.min() == data.max():  # one tissue as bright as the air
            return image
        grid = Grid(self.preprocessing.shape, np.eye(4))
        low, high = foreground_range(
            Image(data, grid), self.preprocessing.intensity_percentiles
        )
        return ((image - low) / max(high - low, 1e-6)).clamp(0, 1)


def random_curve(
    rng: np.random.Generator, *, is_stairs: bool
) -> Float[np.ndarray, " levels"]:
    """A random intensity, 0 to 1, for each of 256: linear between knots, or stairs."""
    knots = int(rng.integers(2, 8))
    values = rng.uniform(0, 1, knots)
    if is_stairs:
        borders = np.sort(rng.uniform(0, _LEVELS, knots - 1))
        return values[np.searchsorted(borders, np.arange(_LEVELS))]
    places = np.sort(rng.uniform(0, _LEVELS - 1, knots))
    places[0], places[-1] = 0, _LEVELS - 1
    return np.interp(np.arange(_LEVELS), places, values)


def _scan_of(placed: Placed) -> Float[Tensor, "1 i j k"] | None:
    """The scan itself, 0 to 1, on the network's grid."""
    if placed.scan is None:
        return None
    return placed.scan.float().mean(0, keepdim=True) / (_LEVELS - 1)


def _scan_curve(
    volume: LabelVolume, air: float, rng: np.random.Generator
) -> Float[np.ndarray, " levels"]:
    """Intensities in which a scan shows itself: as it is, or through a random curve."""
    as_it_is = np.arange(_LEVELS) / (_LEVELS - 1)
    if rng.uniform() < _AS_IT_IS:
        return as_it_is
    curve = random_curve(rng, is_stairs=False)
    return (
        np.where(as_it_is < volume.dark, air, curve) if rng.uniform() < 0.5 else curve
    )


def _surroundings_curve(
    volume: LabelVolume, air: float, rng: np.random.Generator
) -> Float[np.ndarray, " levels"]:
    """Intensities of the unlabeled voxels of a scan: air, and tissues by brightness."""
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    curve = random_curve(rng, is_stairs=bool(rng.uniform() < _STEPS))
    return np.where(levels < volume.dark, air, curve)


def _mask(
    inside: Float[Tensor, "1 i j k"], rng: np.random.Generator
) -> Float[Tensor, "1 i j k"]:
    """A mask, soft at its border, around the share of structures in every voxel."""
    radius = int(rng.integers(3))
    threshold = rng.uniform(*_MASK_THRESHOLDS)
    smooth = functional.avg_pool3d(
        inside, 2 * radius + 1, 1, radius, count_include_pad=False
    )
    return ((smooth - threshold) / _MASK_RAMP + 0.5).clamp(0, 1)

"""The scans from which features are learned, and what a step of training sees."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from feature_colors import recolor
from feature_labels import FINER
from feature_organs import Organ, scan_files
from torch import Tensor
from torch.nn import functional

from voltween.ops import warp
from voltween.training.augmentation import augment_intensities, random_flow
from voltween.training.label_warping import warp_labels

Rename = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sample:
    """A scan on the network's grid, with its labels on fine voxels."""

    image: Tensor
    labels: Tensor
    """In bytes, as there are many samples."""


def read_samples(out: Path, split: str) -> list[Sample]:
    """The prepared scans of a split."""
    samples = []
    for path in scan_files(out, split):
        arrays = np.load(path)
        image, labels = (torch.from_numpy(arrays[n])[None] for n in ("image", "labels"))
        samples.append(Sample(image, labels))
    return samples


@dataclass(frozen=True)
class Drawn:
    """A sample in a random pose, shape and contrast."""

    image: Tensor
    shows: Tensor
    """Whether a voxel belongs to a structure."""
    labels: Tensor
    flow: Tensor
    """Voxels from the drawn image, before it is mirrored, to the sample."""
    is_mirrored: bool

    def labels_of(self, blocks: Tensor) -> Tensor:
        """The labels of numbered blocks: (n, 8, fine voxels).

        These are the sample's own, so that sides are confused where it is mirrored.
        """
        shape = torch.tensor(self.labels.shape[1:])
        of_blocks = [side // (2 * FINER) for side in shape.tolist()]
        corners = torch.stack(torch.unravel_index(blocks, of_blocks), -1)
        fine = 2 * FINER * corners[:, None, None] + _within_a_block()
        if self.is_mirrored:
            fine[..., 0] = shape[0] - 1 - fine[..., 0]
        led = FINER * _at_points(self.flow, (fine + 0.5) / FINER - 0.5)
        source = (fine + led).round().long().clamp(torch.tensor(0), shape - 1)
        return self.labels[0][source.unbind(-1)]


def draw(
    sample: Sample,
    organ: Organ,
    index: Rename,
    rng: np.random.Generator,
) -> Drawn:
    """Draws pose, shape, contrast and side of a sample.

    Args:
        sample: The scan with its labels.
        organ: What may vary.
        index: Turns labels into places of structures; the background has place 0.
        rng: Random numbers.
    """
    flow = random_flow(organ.grid.shape, organ.augmentation, rng)
    wide = sample.labels[:, ::FINER, ::FINER, ::FINER].int()
    places = index(warp_labels(wide, flow)[0])
    image = recolor(organ, warp(sample.image[None], flow)[0], places, rng)
    image = augment_intensities(image, organ.augmentation, rng)
    is_mirrored = organ.is_symmetric and rng.uniform() < 0.5
    shows = places > 0
    if is_mirrored:
        image, shows = image.flip(1), shows.flip(0)
    return Drawn(image, shows, sample.labels, flow, is_mirrored)


def _within_a_block() -> Tensor:
    """The fine voxels of a block: (8 voxels, fine voxels, 3), in array order."""
    voxels = torch.cartesian_prod(*[torch.arange(2)] * 3)
    fine = torch.cartesian_prod(*[torch.arange(FINER)] * 3)
    return FINER * voxels[:, None] + fine


def _at_points(flow: Tensor, points: Tensor) -> Tensor:
    """The flow at points, in voxels; the border continues beyond it."""
    last = torch.tensor(flow.shape[2:]) - 1
    # grid_sample takes -1 to 1, the last axis first.
    shares = (2 * points / last - 1).flip(-1).float()
    values = functional.grid_sample(
        flow, shares[None], padding_mode="border", align_corners=True
    )
    return values[0].movedim(0, -1)

"""The pairs of a training step: drawn, augmented, stacked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voltween.augment import Augmentation, augment_intensities, random_flow
from voltween.data import Sample, draw_pairs
from voltween.objective import Pairs
from voltween.warp import warp, warp_nearest

_LABELS_PER_PAIR = 8  # of many: others have their turn in other steps


class Batch(NamedTuple):
    """Pairs to train on, and their names for messages."""

    pairs: Pairs
    names: str


def draw_batch(
    variants: Sequence[Sequence[Sample]],
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    pairs: int,
    masked_share: float,
    has_labels: bool,
) -> Batch:
    """Random ordered pairs, the moving image of each in another pose and shape.

    `variants` are the samples as they are and masked; `masked_share` of the pairs are
    taken from the latter. With labels, up to 8 that both scans have come along.
    """
    drawn, names = [], []
    for f, m in draw_pairs(len(variants[0]), pairs, rng):
        samples = variants[-1] if rng.uniform() < masked_share else variants[0]
        drawn.append(
            _pair(samples[f], samples[m], augmentation, rng, has_labels=has_labels)
        )
        names.append(f"{samples[f].name} <- {samples[m].name}")
    fixed, moving, fixed_labels, moving_labels = zip(*drawn, strict=True)
    images = torch.stack(fixed), torch.stack(moving)
    if not has_labels:
        return Batch(Pairs(*images), ", ".join(names))
    maps = torch.stack(fixed_labels), torch.stack(moving_labels)
    return Batch(Pairs(*images, *maps), ", ".join(names))


def _pair(
    fixed: Sample,
    moving: Sample,
    augmentation: Augmentation,
    rng: np.random.Generator,
    *,
    has_labels: bool,
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Fixed and moving image, fixed and moving label maps; no batch."""
    fixed_image = augment_intensities(fixed.image, augmentation, rng)
    flow = random_flow(moving.image.shape[1:], augmentation, rng)
    moved = warp(moving.image[None], flow)[0]
    moving_image = augment_intensities(moved, augmentation, rng)
    if not has_labels:
        return fixed_image, moving_image, None, None
    assert fixed.labels is not None
    assert moving.labels is not None
    moving_labels = warp_nearest(moving.labels[None].float(), flow)[0]
    chosen = _shared_labels(fixed.labels, moving.labels, rng)
    maps = _maps(fixed.labels, chosen), _maps(moving_labels, chosen)
    return fixed_image, moving_image, *maps


def _shared_labels(
    fixed: Int[Tensor, "1 i j k"],
    moving: Int[Tensor, "1 i j k"],
    rng: np.random.Generator,
) -> list[int]:
    shared = np.intersect1d(fixed.unique().numpy(), moving.unique().numpy())
    return rng.permutation(shared[shared != 0])[:_LABELS_PER_PAIR].tolist()


def _maps(labels: Tensor, chosen: Sequence[int]) -> Float[Tensor, "labels i j k"]:
    """1 where a voxel has the label, a channel a label; what is missing is empty."""
    maps = torch.zeros(_LABELS_PER_PAIR, *labels.shape[1:])
    for channel, label in enumerate(chosen):
        maps[channel] = labels[0] == label
    return maps

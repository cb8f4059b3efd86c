"""Scans in other intensities, for the training of features."""

import numpy as np
import torch
from feature_labels import index_of
from feature_organs import Organ
from torch import Tensor

from voltween.models import normalize_features
from voltween.spatial import Image, LabelMap
from voltween.training.rendering import random_curve

DARK = 0.05  # intensity of air, which a random curve may leave as it is
DARK_AIR = 0.6  # share of these images in which it does
SHIFT = 0.15  # standard deviation of the brightness that is added to a structure


def recolor(
    organ: Organ, image: Tensor, places: Tensor, rng: np.random.Generator
) -> Tensor:
    """Perhaps shows a scan on the network's grid in other intensities, or stripped."""
    before = image
    if rng.uniform() < organ.remapped:
        image = in_random_curve(organ, image, places, rng)
    if rng.uniform() < organ.stripped:
        image = image * (places > 0)
    if image is before:
        return image
    scan = Image(image[0].numpy().copy(), organ.grid)
    return torch.from_numpy(normalize_features(scan))[None]


def recolored_scan(
    organ: Organ, scan: Image, labels: LabelMap, rng: np.random.Generator
) -> Image:
    """A scan on its own grid in a random curve of its intensities, perhaps stripped."""
    image = torch.from_numpy(normalize_features(scan))[None]
    values = np.union1d(labels.data, 0)
    places = index_of(torch.from_numpy(labels.data.astype(np.int32)), values)
    image = in_random_curve(organ, image, places, rng)
    if rng.uniform() < organ.stripped:
        image = image * (places > 0)
    return Image(image[0].numpy().copy(), scan.grid)


def in_random_curve(
    organ: Organ, image: Tensor, places: Tensor, rng: np.random.Generator
) -> Tensor:
    """The scan in a random curve of its intensities, perhaps one per structure."""
    curve = torch.from_numpy(random_curve(rng, is_stairs=False).astype(np.float32))
    changed = curve[(255 * image).long()]
    if rng.uniform() < organ.shifted:
        shifts = SHIFT * rng.standard_normal(int(places.max()) + 1)
        shifts[0] = 0
        changed = changed + torch.from_numpy(shifts.astype(np.float32))[places]
    if rng.uniform() < DARK_AIR:
        changed = torch.where(image < DARK, 0.0, changed)
    return changed

"""Hounsfield units: recognizes a CT, and the offset that writers add to its units."""

import numpy as np

from voltween.spatial import Image

DENSER_THAN_LUNG = -500.0
_OFFSET = 1000.0  # added by many writers of CT, so that values are not negative
_LOWEST_WITH_OFFSET = -200.0  # every CT shows air, below this without the offset
_SAMPLED_VOXELS = 1_000_000

# Thresholds by which a CT is recognized.
_AIR = -900.0
_TISSUE = (-200.0, 200.0)
_TISSUE_SHARE = 0.6  # of the voxels that are denser than lung
_BONE = 700.0


def hounsfield_offset(image: Image) -> float:
    """Offset, 0 or 1000, that was added to the Hounsfield units of a stored CT."""
    return _OFFSET if image.data.min() > _LOWEST_WITH_OFFSET else 0.0


def looks_like_ct(image: Image) -> bool:
    """Whether the intensities are Hounsfield units, possibly with 1000 added.

    A CT has air, something as dense as bone, and most of the rest is about as dense as
    water. A single MR scan could satisfy this by chance, a whole cohort hardly.
    """
    units = sample_voxels(image.data) - hounsfield_offset(image)
    low, high = _TISSUE
    body = units[units > DENSER_THAN_LUNG]
    if units.min() > _AIR or units.max() < _BONE or body.size == 0:
        return False
    return bool(np.mean((body > low) & (body < high)) >= _TISSUE_SHARE)


def sample_voxels(data: np.ndarray) -> np.ndarray:
    """Takes a regular subsample of about a million voxels."""
    step = max(1, round((data.size / _SAMPLED_VOXELS) ** (1 / 3)))
    return data[::step, ::step, ::step]

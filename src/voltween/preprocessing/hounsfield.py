"""Hounsfield units: telling a CT from other scans, and what writers add to them."""

import numpy as np

from voltween.spatial import Image

DENSER_THAN_LUNG = -500.0
_OFFSET = 1000.0  # added by many writers of CT, so that values are not negative
_LOWEST_WITH_OFFSET = -200.0  # every scan shows air: one without has the offset
_SAMPLED_VOXELS = 1_000_000

# By which a CT is told from anything else.
_AIR = -900.0
_TISSUE = (-200.0, 200.0)
_TISSUE_SHARE = 0.6  # of voxels that are not air: tissue of a CT is all of one kind
_BONE = 700.0


def hounsfield_offset(image: Image) -> float:
    """What was added to the Hounsfield units of a CT when it was stored: 0 or 1000."""
    return _OFFSET if image.data.min() > _LOWEST_WITH_OFFSET else 0.0


def looks_like_ct(image: Image) -> bool:
    """Whether intensities are Hounsfield units, as they are or with 1000 added.

    There is air, something as dense as bone, and most of the rest is as dense as
    water. An MR scan could meet this by chance, a cohort hardly.
    """
    units = sample_voxels(image.data) - hounsfield_offset(image)
    low, high = _TISSUE
    body = units[units > DENSER_THAN_LUNG]
    if units.min() > _AIR or units.max() < _BONE or body.size == 0:
        return False
    return bool(np.mean((body > low) & (body < high)) >= _TISSUE_SHARE)


def sample_voxels(data: np.ndarray) -> np.ndarray:
    """Every so many-th voxel along each axis, about a million in all."""
    step = max(1, round((data.size / _SAMPLED_VOXELS) ** (1 / 3)))
    return data[::step, ::step, ::step]

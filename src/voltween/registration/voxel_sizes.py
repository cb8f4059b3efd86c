"""The voxels by which a pair is seen: cubes, but flat ones where a scan has few slices.

Cubes as wide as a slab of a few slices cannot show which of its slices meet. Along an
axis that is too short for cubes, voxels are narrower instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial import Grid, spacing_and_shape


class Voxels(NamedTuple):
    """Voxel sizes along R, A and S, and the extent that they have to fill."""

    spacing_mm: Float[np.ndarray, " 3"]
    extent_mm: Float[np.ndarray, " 3"]
    is_thin: Bool[np.ndarray, " 3"]
    """The axes along which voxels are narrower than along the others."""


def choose_voxels(
    extent_mm: Float[np.ndarray, " 3"],
    scans: Sequence[Grid],
    *,
    most: float,
    fewest: int,
) -> Voxels:
    """Chooses voxels for an extent along R, A and S in which both scans fit.

    They are cubes as narrow as the narrowest voxels of the scans, or wider where this
    would give more than `most`. An axis of which the scans show less than `fewest`
    cubes gets that many narrower voxels over what the scans show.
    """
    finest_mm = min(float(scan.spacing_mm.min()) for scan in scans)
    side_mm = max(finest_mm, float(np.cbrt(extent_mm.prod() / most)))
    shown_mm = np.max([np.multiply(*spacing_and_shape(scan)) for scan in scans], axis=0)
    is_thin = shown_mm < fewest * side_mm
    if not is_thin.any() or is_thin.all():
        return Voxels(np.full(3, side_mm), extent_mm, np.zeros(3, bool))
    thin_mm = np.minimum(extent_mm, shown_mm)
    left = most / fewest ** int(is_thin.sum())
    side_mm = max(
        finest_mm,
        float((extent_mm[~is_thin].prod() / left) ** (1 / int((~is_thin).sum()))),
    )
    return Voxels(
        np.where(is_thin, thin_mm / fewest, side_mm),
        np.where(is_thin, thin_mm, extent_mm),
        is_thin,
    )

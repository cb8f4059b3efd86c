"""Resampling onto another grid along the image's own axes, without aliasing."""

import numpy as np
from scipy.ndimage import gaussian_filter

from voltween.spatial.grid import Grid, nearest_world_axes
from voltween.spatial.transform import Affine
from voltween.spatial.volume import Image

_FULL_WIDTH_AT_HALF_MAXIMUM = 2 * np.sqrt(2 * np.log(2))  # in sigmas


def resample_smoothly(image: Image, *, onto: Grid) -> Image:
    """Resamples an image onto a grid along its own axes, without aliasing if coarser.

    Both are in one world space, RAS+ mm. The image is smoothed by what its voxels lack
    to the size of those of `onto`; beyond the image its outside value is taken.
    """
    smooth = _add_soft_edge(_smooth(image, onto))
    return Affine.identity().resample(smooth, onto=onto)


def _smooth(image: Image, onto: Grid) -> Image:
    """Smooths the image as much as the voxels of `onto` would.

    The Gaussian widens the point spread function from one voxel size to the other: full
    widths at half maximum add in squares.

    References:
        Cardoso et al. 2015, Scale factor point spread function matching,
        doi:10.1007/978-3-319-24571-3_81.
    """
    own_mm = image.grid.spacing_mm
    other_mm = onto.spacing_mm[list(nearest_world_axes(image.grid))]
    missing_mm = np.sqrt(np.maximum(other_mm**2 - own_mm**2, 0))
    sigma_voxels = missing_mm / _FULL_WIDTH_AT_HALF_MAXIMUM / own_mm
    data = gaussian_filter(image.data, sigma_voxels, mode="nearest", truncate=2.5)
    return Image(data, image.grid)


def _add_soft_edge(image: Image) -> Image:
    """Adds one voxel of the image's outside value on every side.

    Resampling is then continuous at the image's edge: rounding does not decide whether
    voxels right on the edge, as with grids of equal spacing, are inside or outside.
    """
    data = np.pad(image.data, 1, constant_values=image.outside_value)
    return Image(data, image.grid.pad(1))

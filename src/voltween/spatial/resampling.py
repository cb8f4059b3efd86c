"""Resampling onto another grid along the image's own axes, without aliasing."""

import numpy as np
from jaxtyping import Float

from voltween.spatial.chain import between_grids, sample, smooth
from voltween.spatial.grid import Grid, nearest_world_axes
from voltween.spatial.volume import Image

_FULL_WIDTH_AT_HALF_MAXIMUM = 2 * np.sqrt(2 * np.log(2))  # in sigmas
_REACH = 2.5  # of the Gaussian, in sigmas


def resample_smoothly(image: Image, *, onto: Grid) -> Image:
    """Resamples an image onto a grid along its own axes, without aliasing if coarser.

    Both are in one world space, RAS+ mm. The image is smoothed by what its voxels lack
    to the size of those of `onto`; beyond the image its outside value is taken. The
    result is continuous at the image's edge: the values fall to the outside value
    within one voxel.
    """
    data = _smooth(image, onto)
    chain = between_grids((), onto=onto, moving=image.grid)
    outside = min(0.0, float(data.min()))
    return Image(sample(chain, data, onto.shape, outside=outside, is_soft=True), onto)


def _smooth(image: Image, onto: Grid) -> Float[np.ndarray, "i j k"]:
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
    if not sigma_voxels.any():
        return image.data
    return smooth(image.data, sigma_voxels.tolist(), reach=_REACH)

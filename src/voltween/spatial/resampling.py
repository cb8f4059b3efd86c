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
    sigma_voxels = _missing_sigmas(image.grid, onto)
    data, grid = _crop(image, onto, np.ceil(_REACH * sigma_voxels))
    if sigma_voxels.any():
        data = smooth(data, sigma_voxels.tolist(), reach=_REACH)
    chain = between_grids((), onto=onto, moving=grid)
    outside = image.outside_value
    return Image(sample(chain, data, onto.shape, outside=outside, is_soft=True), onto)


def _crop(
    image: Image, onto: Grid, reach: Float[np.ndarray, " 3"]
) -> tuple[Float[np.ndarray, "i j k"], Grid]:
    """The voxels of the image that matter on a grid, `reach` voxels around included.

    A scan that was turned and resampled is often a small part of its grid.
    """
    corners = image.grid.world_to_voxel(onto.corners_mm())
    shape = np.array(image.grid.shape)
    low = np.floor(corners.min(axis=0)) - reach - 1
    high = np.ceil(corners.max(axis=0)) + reach + 2
    if (low >= shape).any() or (high <= 0).any():
        return image.data, image.grid
    first, stop = (np.clip(edge, 0, shape).astype(int) for edge in (low, high))
    i, j, k = (slice(*edges) for edges in zip(first, stop, strict=True))
    affine = image.grid.affine.copy()
    affine[:3, 3] = image.grid.voxel_to_world(first.astype(np.float64))
    data = np.ascontiguousarray(image.data[i, j, k])
    size = data.shape
    return data, Grid((size[0], size[1], size[2]), affine)


def _missing_sigmas(own: Grid, onto: Grid) -> Float[np.ndarray, " 3"]:
    """Sigmas in voxels of the smoothing that the voxels of `onto` would do.

    The Gaussian widens the point spread function from one voxel size to the other: full
    widths at half maximum add in squares.

    References:
        Cardoso et al. 2015, Scale factor point spread function matching,
        doi:10.1007/978-3-319-24571-3_81.
    """
    own_mm = own.spacing_mm
    other_mm = onto.spacing_mm[list(nearest_world_axes(own))]
    missing_mm = np.sqrt(np.maximum(other_mm**2 - own_mm**2, 0))
    return missing_mm / _FULL_WIDTH_AT_HALF_MAXIMUM / own_mm

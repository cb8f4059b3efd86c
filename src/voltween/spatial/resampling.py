"""Resampling onto another grid along an image's own axes, without aliasing."""

import numpy as np
from scipy.ndimage import gaussian_filter

from voltween.spatial.grid import Grid, nearest_world_axes
from voltween.spatial.transform import Affine
from voltween.spatial.volume import Image

_WIDTH_OF_GAUSSIAN = 2 * np.sqrt(2 * np.log(2))  # at half height, in sigmas


def resample_smoothly(image: Image, *, onto: Grid) -> Image:
    """The image on another grid along its own axes, without aliasing if coarser."""
    return Affine.identity().resample(
        _with_soft_edge(_smoothed(image, onto)), onto=onto
    )


def _smoothed(image: Image, onto: Grid) -> Image:
    """The image as blurred as voxels of `onto` would make it.

    A Gaussian takes the width at half height from one voxel to the other's; widths add
    in squares.

    References:
        Cardoso et al. 2015, Scale factor point spread function matching,
        doi:10.1007/978-3-319-24571-3_81.
    """
    own_mm = image.grid.spacing_mm
    other_mm = onto.spacing_mm[list(nearest_world_axes(image.grid))]
    missing_mm = np.sqrt(np.maximum(other_mm**2 - own_mm**2, 0))
    sigma_voxels = missing_mm / _WIDTH_OF_GAUSSIAN / own_mm
    data = gaussian_filter(image.data, sigma_voxels, mode="nearest", truncate=2.5)
    return Image(data, image.grid)


def _with_soft_edge(image: Image) -> Image:
    """The image with one voxel more of its outside value on every side.

    Resampling is then continuous where the image ends: voxels that fall right on its
    edge, as they do where both grids have one spacing, are not in or out by rounding.
    """
    data = np.pad(image.data, 1, constant_values=image.outside_value)
    return Image(data, image.grid.pad(1))

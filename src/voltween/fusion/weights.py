"""Weights of atlases, voxel by voxel, by their local similarity to a scan."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter

Images = Float[np.ndarray, "n i j k"]
Mask = Bool[np.ndarray, "i j k"]
Weights = Float[np.ndarray, "n v"]

_WINDOW_VOXELS = 5  # side of the cubes in which images are compared
_POWER = 2.0  # of the squared local correlation
_LEAST_WEIGHT = 1e-6  # so that something is voted where nothing is similar
_LEAST_VARIANCE = 1e-4  # of that of the whole image: flat parts show no structure


def correlation_weights(
    scan: Float[np.ndarray, "i j k"], images: Images, where: Mask
) -> Weights:
    """Weights by the squared local correlation with the scan, squared.

    References:
        Artaechevarria et al. 2009, Combination strategies in multi-atlas image
        segmentation, doi:10.1109/TMI.2009.2014372.
    """
    target = locally_normalized(scan)
    weights = []
    for image in images:
        correlation = _box_mean(target * locally_normalized(image))[where]
        weights.append(np.square(correlation) ** _POWER + _LEAST_WEIGHT)
    return np.array(weights)


def locally_normalized(image: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "i j k"]:
    """The image with mean 0 and variance 1 in the cube around every voxel."""
    data = image.astype(np.float64)
    mean = _box_mean(data)
    variance = (_box_mean(data**2) - mean**2).clip(_LEAST_VARIANCE * data.var() + 1e-30)
    return (data - mean) / np.sqrt(variance)


def _box_mean(data: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "i j k"]:
    return uniform_filter(data, _WINDOW_VOXELS, mode="nearest")

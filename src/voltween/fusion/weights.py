"""Weights of atlases, voxel by voxel, by their local similarity to a scan."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter

Images = Float[np.ndarray, "n i j k"]
Mask = Bool[np.ndarray, "i j k"]
Weights = Float[np.ndarray, "n v"]

_WINDOW_VOXELS = 5  # side of the cubes in which images are compared
_POWER = 4.0  # of the squared local correlation
_LEAST_WEIGHT = 1e-6  # so that something is voted where nothing is similar
_LEAST_VARIANCE = 1e-4  # of that of the whole image: flat parts show no structure
_JOINT_POWER = 2.0
_RIDGE = 0.1
_CHUNK = 50_000  # voxels whose matrices are solved at once


def correlation_weights(
    scan: Float[np.ndarray, "i j k"], images: Images, where: Mask
) -> Weights:
    """Weights by the squared local correlation with the scan, whatever its sign.

    References:
        Artaechevarria et al. 2009, Combination strategies in multi-atlas image
        segmentation, doi:10.1109/TMI.2009.2014372.
    """
    target = locally_normalized(scan)
    weights = []
    for image in images:
        correlation = _box_mean(target * locally_normalized(image))[where]
        weights.append(np.square(correlation) ** (_POWER / 2) + _LEAST_WEIGHT)
    return np.array(weights)


def joint_weights(
    scan: Float[np.ndarray, "i j k"], images: Images, where: Mask
) -> Weights:
    """Weights that take into account that atlases make the same errors.

    They minimize the expected error of the vote, M being the products of the local
    differences of every two atlases to the scan. Weights below 0 are set to 0.

    References:
        Wang et al. 2013, Multi-atlas segmentation with joint label fusion,
        doi:10.1109/TPAMI.2012.143.
    """
    target, count = locally_normalized(scan), len(images)
    differences = [np.abs(target - locally_normalized(image)) for image in images]
    products = np.empty((int(where.sum()), count, count))
    for i in range(count):
        for j in range(i + 1):
            product = _box_mean(differences[i] * differences[j])[where]
            products[:, i, j] = products[:, j, i] = product**_JOINT_POWER
    return np.concatenate(
        [_solve(products[n : n + _CHUNK]) for n in range(0, len(products), _CHUNK)],
        axis=1,
    )


def locally_normalized(image: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "i j k"]:
    """The image with mean 0 and variance 1 in the cube around every voxel."""
    data = image.astype(np.float64)
    mean = _box_mean(data)
    variance = (_box_mean(data**2) - mean**2).clip(_LEAST_VARIANCE * data.var() + 1e-30)
    return (data - mean) / np.sqrt(variance)


def _solve(products: Float[np.ndarray, "v n n"]) -> Weights:
    """The weights of voxels from their matrices, which add up to 1."""
    count = products.shape[1]
    scale = np.trace(products, axis1=1, axis2=2)[:, None, None] / count
    matrix = products + (_RIDGE * scale + 1e-12) * np.eye(count)
    raw = np.linalg.solve(matrix, np.ones((len(matrix), count, 1)))[..., 0]
    raw = raw.clip(_LEAST_WEIGHT * np.abs(raw).max(axis=1, keepdims=True))
    return (raw / raw.sum(axis=1, keepdims=True)).T


def _box_mean(data: Float[np.ndarray, "i j k"]) -> Float[np.ndarray, "i j k"]:
    return uniform_filter(data, _WINDOW_VOXELS, mode="nearest")

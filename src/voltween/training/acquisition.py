"""Simulated acquisition: blur and thick slices, as one matrix per axis."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_THICK_SHARE = 1 / 3  # of the scans that have thick slices along one axis


def acquire(
    image: Float[Tensor, "i j k"],
    rng: np.random.Generator,
    *,
    blur_voxels: float,
    slice_voxels: tuple[float, float, float],
) -> Float[Tensor, "i j k"]:
    """Blurs an image at random and, in a third of the draws, shows it in thick slices.

    Args:
        image: Intensities.
        rng: Random numbers.
        blur_voxels: Largest standard deviation of the blur, drawn per axis.
        slice_voxels: Largest thickness of slices along each axis.
    """
    sigmas = blur_voxels * rng.uniform(0, 1, 3)
    axis = int(rng.integers(3)) if rng.uniform() < _THICK_SHARE else None
    relative, offset = rng.uniform(0, 1, 2)
    for n, side in enumerate(image.shape):
        matrix = gaussian_matrix(side, sigmas[n])
        thickness = 1 + relative * (slice_voxels[n] - 1)
        if n == axis and thickness > 1:
            matrix = slice_matrix(side, thickness, offset) @ matrix
        image = _apply_along(torch.from_numpy(matrix).to(image.dtype), image, n)
    return image


def _apply_along(
    matrix: Float[Tensor, "n n"], image: Float[Tensor, "i j k"], axis: int
) -> Float[Tensor, "i j k"]:
    """Multiplies all lines along an axis by a matrix; the image is not transposed."""
    if axis == 0:
        return (matrix @ image.flatten(1)).view(image.shape)
    return matrix @ image if axis == 1 else image @ matrix.T


def gaussian_matrix(side: int, sigma: float) -> Float[np.ndarray, "side side"]:
    """Gaussian blur along one axis, sigma in voxels; rows sum to 1 at borders, too."""
    distances = np.subtract.outer(np.arange(side), np.arange(side))
    if sigma < 1e-3:
        return np.eye(side)
    weights = np.exp(-0.5 * (distances / sigma) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


def slice_matrix(
    side: int, thickness: float, offset: float
) -> Float[np.ndarray, "side side"]:
    """Means over slices along one axis, interpolated linearly between their centers.

    Args:
        side: Number of voxels.
        thickness: Of a slice, which is also their distance, in voxels.
        offset: Start of the first slice before the grid, 0 to 1 slices.
    """
    starts = np.arange(-offset * thickness, side, thickness)
    voxels = np.arange(side)
    low = np.maximum(starts[:, None], voxels)
    high = np.minimum(starts[:, None] + thickness, voxels + 1)
    shares = (high - low).clip(0)
    is_inside = shares.sum(axis=1) > 0
    shares = shares[is_inside] / shares[is_inside].sum(axis=1, keepdims=True)
    centers = starts[is_inside] + thickness / 2
    middles = voxels + 0.5
    return np.stack(
        [np.interp(middles, centers, column) for column in shares.T], axis=1
    )

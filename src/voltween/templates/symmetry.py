"""Symmetry of a template, left to right, about the middle plane of its grid.

A scan and its mirrored copy have transforms that mirror one another. Registering the
copies is not needed: their part in a mean is the mirrored part of the scans.
"""

import warnings

import numpy as np

from voltween.errors import SuspiciousInputWarning
from voltween.registration import register
from voltween.spatial import Affine, Grid, Image, nearest_world_axes
from voltween.templates.mean_shape import Tensor, Vectors, nearest_affine, power_of


def mirror_axis(grid: Grid) -> int:
    """The array axis that runs from left to right."""
    return nearest_world_axes(grid).index(0)


def reflection(grid: Grid) -> Affine:
    """The map of world mm that mirrors a grid, left to right, about its middle."""
    axis = mirror_axis(grid)
    flip = np.eye(4)
    flip[axis, axis] = -1
    flip[axis, 3] = grid.shape[axis] - 1
    return Affine(grid.affine @ flip @ np.linalg.inv(grid.affine))


def mirrored(image: Image) -> Image:
    """The image with left and right exchanged, on the same grid."""
    return Image(np.flip(image.data, mirror_axis(image.grid)), image.grid)


def symmetric_mean(image: Image) -> Image:
    """The mean of an image and its mirrored copy."""
    data = image.data.astype(np.float64) + mirrored(image).data
    return Image(data / 2, image.grid)


def symmetric_shape(
    stretch: Tensor, vectors_mm: Vectors, grid: Grid
) -> tuple[Tensor, Vectors]:
    """The logarithm of a stretch, and displacements on a grid, made symmetric."""
    mirror = reflection(grid).matrix[:3, :3]
    flipped = np.flip(vectors_mm, mirror_axis(grid)) @ mirror.T
    both = stretch + mirror @ stretch @ np.linalg.inv(mirror)
    return both / 2, (vectors_mm + flipped) / 2


def middle_pose(image: Image) -> Affine:
    """The pose of an image's plane of symmetry: from the middle of its grid to it.

    The image is registered rigidly to its mirrored copy. If B maps the image to the
    copy, the plane lies half of the way: at B^(-1/2). A `SuspiciousInputWarning` tells
    if the verdict on the registration is failed.

    Raises:
        InputError: If the image cannot be registered.
    """
    found = register(image, mirrored(image), model=None, refinement="rigid")
    if found.verdict.grade == "failed":
        reasons = "; ".join(found.verdict.reasons)
        warnings.warn(
            f"the plane of symmetry may be wrong, as the image was not found in its "
            f"mirror image: {reasons}; look at the template of round 0",
            SuspiciousInputWarning,
            stacklevel=2,
        )
    rigid = nearest_affine(found.fixed_to_moving, image.grid.corners_mm())
    return power_of(rigid, -0.5)

"""Jacobian determinants of the map x -> x + u(x) on a grid, in bounded memory."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

_VOXELS_AT_ONCE = 500_000  # of some 200 bytes each


def determinants(
    vectors_mm: Float[np.ndarray, "i j k 3"], affine: Float[np.ndarray, "4 4"]
) -> Float[np.ndarray, "i j k"]:
    """Determinants of the derivative of x + u(x) at all voxels of a grid.

    `vectors_mm` are displacements u in world mm, `affine` maps voxels to world mm. By
    central differences, one-sided at the border. The work is done slab by slab.
    """
    to_voxels = np.linalg.inv(affine[:3, :3]).T
    size, *plane = vectors_mm.shape[:3]
    result = np.empty(vectors_mm.shape[:3])
    for first, stop in slabs(size, int(np.prod(plane))):
        low, high = max(first - 1, 0), min(stop + 1, size)
        positions = np.moveaxis(vectors_mm[low:high] @ to_voxels, -1, 0)
        positions = positions + np.indices(positions.shape[1:])
        result[first:stop] = _determinants(positions)[first - low : stop - low]
    return result


def slabs(planes: int, voxels_per_plane: int) -> Iterator[tuple[int, int]]:
    """Yields the first plane of every slab, and the plane behind its last one."""
    thickness = max(1, _VOXELS_AT_ONCE // voxels_per_plane)
    for first in range(0, planes, thickness):
        yield first, min(first + thickness, planes)


def _determinants(
    positions: Float[np.ndarray, "3 i j k"],
) -> Float[np.ndarray, "i j k"]:
    a, b, c = (np.gradient(component) for component in positions)
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )

"""The inverse of a displacement field, at the voxels of its grid or elsewhere."""

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial.chain import Warp, find_origins, link, slabs

_MOST_ITERATIONS = 60
_TOLERANCE_VOXELS = 1e-3
_SLAB_VOXELS = 500_000  # of some 150 bytes each


def inverse_vectors_mm(
    warp: Warp, vectors_mm: Float[np.ndarray, "i j k 3"]
) -> tuple[Float[np.ndarray, "i j k 3"], float]:
    """Computes the vectors v with v(y) + u(y + v(y)) = 0 at the voxels, RAS+ mm.

    `vectors_mm` are u at the voxels; `warp` reads u between them. The second result is
    the largest error |v(y) + u(y + v(y))| in mm of the voxels whose origin y + v(y)
    lies inside the grid. Works slab by slab.
    """
    affine = warp.grid.affine[:3, :3]
    to_voxels, result, largest_mm = (
        np.linalg.inv(affine),
        np.empty(vectors_mm.shape),
        0.0,
    )
    for first, stop in slabs(warp.grid.shape, _SLAB_VOXELS):
        shape = (stop - first, *warp.grid.shape[1:])
        voxels = np.indices(shape, dtype=np.float64).reshape(3, -1)
        voxels[0] += first
        flow = to_voxels @ vectors_mm[first:stop].reshape(-1, 3).T
        origins, errors = origins_voxels(warp, voxels, voxels - flow)
        result[first:stop] = ((origins - voxels).T @ affine.T).reshape(*shape, 3)
        inside = _is_inside(origins, warp.grid.shape)
        errors_mm = np.linalg.norm(affine @ errors[:, inside], axis=0)
        largest_mm = max(largest_mm, float(errors_mm.max(initial=0.0)))
    return result, largest_mm


def origins_voxels(
    warp: Warp, voxels: Float[np.ndarray, "3 n"], start: Float[np.ndarray, "3 n"]
) -> tuple[Float[np.ndarray, "3 n"], Float[np.ndarray, "3 n"]]:
    """Finds voxel positions that a field maps to the positions `voxels`, and errors.

    The iteration starts from `start`.
    """
    affine = warp.grid.affine
    chain = link([warp], first=affine, last=np.linalg.inv(affine))
    return find_origins(
        chain,
        voxels,
        start,
        tolerance=_TOLERANCE_VOXELS,
        iterations=_MOST_ITERATIONS,
    )


def _is_inside(
    positions: Float[np.ndarray, "3 n"], shape: tuple[int, ...]
) -> Bool[np.ndarray, " n"]:
    top = np.array(shape)[:, None] - 1
    return np.all((positions >= 0) & (positions <= top), axis=0)

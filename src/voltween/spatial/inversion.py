"""The inverse of a displacement field, at the voxels of its grid or elsewhere."""

import numpy as np
from jaxtyping import Float

from voltween.spatial.chain import Warp, find_origins, invert_field

_MOST_ITERATIONS = 60
_TOLERANCE_VOXELS = 1e-3


def inverse_vectors_mm(
    warp: Warp, vectors_mm: Float[np.ndarray, "i j k 3"]
) -> tuple[Float[np.ndarray, "i j k 3"], Float[np.ndarray, "i j k"]]:
    """Computes the vectors v with v(y) + u(y + v(y)) = 0 at the voxels, RAS+ mm.

    `vectors_mm` are u at the voxels; `warp` reads u between them. The second result are
    the residuals |v(y) + u(y + v(y))| in mm at the voxels, in single precision.
    """
    return invert_field(
        warp, vectors_mm, tolerance=_TOLERANCE_VOXELS, iterations=_MOST_ITERATIONS
    )


def origins_voxels(
    warp: Warp, voxels: Float[np.ndarray, "3 n"], start: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    """Finds voxel positions that a field maps to the positions `voxels`.

    The iteration starts from `start`.
    """
    return find_origins(
        warp, voxels, start, tolerance=_TOLERANCE_VOXELS, iterations=_MOST_ITERATIONS
    )[0]

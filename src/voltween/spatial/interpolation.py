"""Linear interpolation of arrays between their voxels.

`scipy.ndimage.map_coordinates` does the same, but reads one component at a time, and
importing SciPy takes a quarter of a second, which the register command can save.
"""

import numpy as np
from jaxtyping import Float, Int


def read_linearly(
    components: Float[np.ndarray, "c i j k"], positions: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "c n"]:
    """Interpolates the components at voxel positions (i, j, k).

    Beyond the outermost voxels, the nearest value is taken.
    """
    shape = np.array(components.shape[1:])[:, None]
    inside = np.clip(positions, 0, shape - 1)
    lower = np.minimum(inside.astype(np.intp), np.maximum(shape - 2, 0))
    share = inside - lower
    # An axis of one voxel has no upper neighbor; the neighbor's share is 0 there.
    strides = np.cumprod([1, *shape[:0:-1, 0]])[::-1] * (shape[:, 0] > 1)
    first = np.ravel_multi_index(tuple(lower), components.shape[1:])
    return _read(components.reshape(len(components), -1), first, strides, share)


def _read(
    values: Float[np.ndarray, "c m"],
    first: Int[np.ndarray, " n"],
    strides: Int[np.ndarray, " axes"],
    share: Float[np.ndarray, "axes n"],
) -> Float[np.ndarray, "c n"]:
    """Interpolates from the values at flat indices `first` to their upper neighbors."""
    if len(strides) == 0:
        return values.take(first, axis=1)
    low = _read(values, first, strides[1:], share[1:])
    high = _read(values, first + strides[0], strides[1:], share[1:])
    high -= low
    high *= share[0]
    high += low
    return high

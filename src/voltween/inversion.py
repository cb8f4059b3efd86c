"""The inverse of a displacement field on its own grid, voxel by voxel."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import map_coordinates

_MOST_ITERATIONS = 60
_TOLERANCE_VOXELS = 1e-3
_DERIVATIVE_VOXELS = 1.0  # as where folding is measured
_SMALLEST_DETERMINANT = 0.02


def inverse_flow(
    flow: Float[np.ndarray, "3 i j k"],
) -> tuple[Float[np.ndarray, "3 i j k"], Float[np.ndarray, "3 n"]]:
    """Flow v with v(y) + u(y + v(y)) = 0, and what is left of that sum; in voxels.

    Newton's method voxel by voxel, at each step only where it has not arrived. A step
    that would enlarge the error is halved the next time, so that it converges wherever
    the field does not fold.

    Beyond its grid u is continued by its nearest value, which keeps the iteration
    continuous. The errors returned are those of voxels that come from inside the grid.
    """
    voxels = np.indices(flow.shape[1:], dtype=np.float64).reshape(3, -1)
    inverse = -flow.reshape(3, -1)
    error = inverse + _read(flow, voxels + inverse)
    step = np.ones(voxels.shape[1])
    active = np.arange(voxels.shape[1])
    for _ in range(_MOST_ITERATIONS):
        active = active[_length(error[:, active]) > _TOLERANCE_VOXELS]
        if active.size == 0:
            break
        old = inverse[:, active]
        direction = _newton_direction(flow, voxels[:, active] + old, error[:, active])
        new = old - step[active] * direction
        new_error = new + _read(flow, voxels[:, active] + new)
        is_better = _length(new_error) < _length(error[:, active])
        longer, shorter = np.minimum(2 * step[active], 1), step[active] / 2
        step[active] = np.where(is_better, longer, shorter)
        inverse[:, active[is_better]] = new[:, is_better]
        error[:, active[is_better]] = new_error[:, is_better]
    comes_from_inside = _is_inside(voxels + inverse, flow.shape[1:])
    return inverse.reshape(flow.shape), error[:, comes_from_inside]


def _newton_direction(
    flow: Float[np.ndarray, "3 i j k"],
    positions: Float[np.ndarray, "3 n"],
    error: Float[np.ndarray, "3 n"],
) -> Float[np.ndarray, "3 n"]:
    """(I + derivative of u)^-1 error; the error itself where the field folds."""
    jacobian = np.empty((positions.shape[1], 3, 3))
    for axis in range(3):
        offset = np.zeros((3, 1))
        offset[axis] = _DERIVATIVE_VOXELS
        rise = _read(flow, positions + offset) - _read(flow, positions - offset)
        jacobian[:, :, axis] = rise.T / (2 * _DERIVATIVE_VOXELS)
    jacobian += np.eye(3)
    jacobian[np.linalg.det(jacobian) < _SMALLEST_DETERMINANT] = np.eye(3)
    return np.linalg.solve(jacobian, error.T[..., None])[..., 0].T


def _read(
    flow: Float[np.ndarray, "3 i j k"], positions: Float[np.ndarray, "3 n"]
) -> Float[np.ndarray, "3 n"]:
    read = [map_coordinates(c, positions, order=1, mode="nearest") for c in flow]
    return np.stack(read)


def _length(vectors: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, " n"]:
    return np.linalg.norm(vectors, axis=0)


def _is_inside(
    positions: Float[np.ndarray, "3 n"], shape: tuple[int, ...]
) -> Bool[np.ndarray, " n"]:
    top = np.array(shape)[:, None] - 1
    return np.all((positions >= 0) & (positions <= top), axis=0)

"""The inverse of a displacement field, at the voxels of its grid or elsewhere."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial.interpolation import read_linearly

_MAX_ITERATIONS = 60
_TOLERANCE_VOXELS = 1e-3
_ROUGH_TOLERANCE_VOXELS = 1e-2
_CORRECTED_VOXELS = 5e-3
_CORRECTIONS = 5
_LATE_ITERATIONS = 8  # for positions where corrections fail, as at folds
_DERIVATIVE_VOXELS = 1.0  # the step with which folding is measured too
_SMALLEST_DETERMINANT = 0.02
_WORTHWHILE_REDUCTION = 0.5


Read = Callable[[Float[np.ndarray, "3 n"]], Float[np.ndarray, "3 n"]]
"""Displacements u in voxels, at positions in voxels."""


def inverse_flow(
    flow: Float[np.ndarray, "3 i j k"], read: Read | None = None
) -> tuple[Float[np.ndarray, "3 i j k"], Float[np.ndarray, "3 n"]]:
    """Computes the flow v with v(y) + u(y + v(y)) = 0, in voxels, and its residual.

    `flow` holds u at the voxels. Between them, `read` reads it; if not given, it is
    interpolated linearly, and continued by its nearest value beyond the grid, which
    keeps the iteration continuous. The residual v(y) + u(y + v(y)) is returned for
    those voxels whose origin y + v(y) lies inside the grid.
    """
    voxels = np.indices(flow.shape[1:], dtype=np.float64).reshape(3, -1)
    linear, start = partial(read_linearly, flow), -flow.reshape(3, -1)
    if read is None:
        inverse, error = inverse_displacements(linear, voxels, start)
    else:
        rough = _ROUGH_TOLERANCE_VOXELS
        start, _ = inverse_displacements(linear, voxels, start, tolerance=rough)
        inverse, error = _correct(read, voxels, start.reshape(flow.shape))
    comes_from_inside = _is_inside(voxels + inverse, flow.shape[1:])
    return inverse.reshape(flow.shape), error[:, comes_from_inside]


def _correct(
    read: Read, voxels: Float[np.ndarray, "3 n"], start: Float[np.ndarray, "3 i j k"]
) -> tuple[Float[np.ndarray, "3 n"], Float[np.ndarray, "3 n"]]:
    """Computes the inverse and its residual, from an inverse that is nearly right.

    Newton's method with the derivative of that inverse, which is the inverse of the
    derivative of x + u(x): a step costs one interpolation of u. Positions that do not
    converge, as at folds, are iterated some more with derivatives of u.
    """
    inverse = start.reshape(3, -1).copy()
    error = inverse + read(voxels + inverse)
    active = np.flatnonzero(_length(error) > _CORRECTED_VOXELS)
    slopes = np.stack([np.gradient(component) for component in start])
    slopes = slopes.reshape(3, 3, -1).take(active, axis=2)
    for _ in range(_CORRECTIONS):
        old = error.take(active, axis=1)
        step = old + np.einsum("cdn,dn->cn", slopes, old)
        new = inverse.take(active, axis=1) - step
        new_error = new + read(voxels.take(active, axis=1) + new)
        is_better = _length(new_error) < _length(old)
        inverse[:, active] = np.where(is_better, new, inverse[:, active])
        error[:, active] = np.where(is_better, new_error, old)
        goes_on = is_better & (_length(new_error) > _CORRECTED_VOXELS)
        active, slopes = active[goes_on], slopes[..., goes_on]
    left = np.flatnonzero(_length(error) > _CORRECTED_VOXELS)
    inverse[:, left], error[:, left] = inverse_displacements(
        read,
        voxels[:, left],
        inverse[:, left],
        tolerance=_CORRECTED_VOXELS,
        iterations=_LATE_ITERATIONS,
    )
    return inverse, error


def inverse_displacements(
    read: Read,
    voxels: Float[np.ndarray, "3 n"],
    start: Float[np.ndarray, "3 n"] | None = None,
    *,
    tolerance: float = _TOLERANCE_VOXELS,
    iterations: int = _MAX_ITERATIONS,
) -> tuple[Float[np.ndarray, "3 n"], Float[np.ndarray, "3 n"]]:
    """Computes v(y) with v(y) + u(y + v(y)) = 0 at positions y, and the residual.

    The iteration starts from the given v, else from -u(y).

    Each position is iterated until it has converged. The fixed-point step v = -u(y + v)
    costs one interpolation of u and is used as long as it at least halves the error;
    after that Newton's method is used, which costs seven. A Newton step that would
    increase the error is rejected and halved for the next iteration, so that the method
    converges wherever the field does not fold.
    """
    inverse = -read(voxels) if start is None else start.copy()
    error = inverse + read(voxels + inverse)
    step = np.ones(voxels.shape[1])
    is_slow = np.zeros(voxels.shape[1], dtype=bool)
    active = np.flatnonzero(_length(error) > tolerance)
    for _ in range(iterations):
        if active.size == 0:
            break
        at, old, old_error = (a.take(active, axis=1) for a in (voxels, inverse, error))
        slow, old_step = is_slow[active], step[active]
        direction = old_error.copy()
        direction[:, slow] = _newton_direction(
            read, at[:, slow] + old[:, slow], old_error[:, slow]
        )
        new = old - old_step * direction
        new_error = new + read(at + new)
        length, old_length = _length(new_error), _length(old_error)
        is_better = length < old_length
        longer, shorter = np.minimum(2 * old_step, 1), old_step / 2
        step[active] = np.where(is_better | ~slow, longer, shorter)
        is_slow[active] = slow | (length > _WORTHWHILE_REDUCTION * old_length)
        inverse[:, active] = np.where(is_better, new, old)
        error[:, active] = np.where(is_better, new_error, old_error)
        active = active[np.minimum(length, old_length) > tolerance]
    return inverse, error


def _newton_direction(
    read: Read,
    positions: Float[np.ndarray, "3 n"],
    error: Float[np.ndarray, "3 n"],
) -> Float[np.ndarray, "3 n"]:
    """(I + derivative of u)^-1 error, or the error itself where the field folds."""
    jacobian = np.empty((positions.shape[1], 3, 3))
    for axis in range(3):
        offset = np.zeros((3, 1))
        offset[axis] = _DERIVATIVE_VOXELS
        above, below = (read(positions + sign * offset) for sign in (1, -1))
        jacobian[:, :, axis] = (above - below).T / (2 * _DERIVATIVE_VOXELS)
    jacobian += np.eye(3)
    jacobian[np.linalg.det(jacobian) < _SMALLEST_DETERMINANT] = np.eye(3)
    return np.linalg.solve(jacobian, error.T[..., None])[..., 0].T


def _length(vectors: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, " n"]:
    return np.sqrt(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2)


def _is_inside(
    positions: Float[np.ndarray, "3 n"], shape: tuple[int, ...]
) -> Bool[np.ndarray, " n"]:
    top = np.array(shape)[:, None] - 1
    return np.all((positions >= 0) & (positions <= top), axis=0)

"""Gaussians along axes, and coefficients of splines, by NumPy and SciPy."""

import numpy as np
from jaxtyping import Float

_MIDDLE_WEIGHT, _SIDE_WEIGHT = 2 / 3, 1 / 6


def solve_splines(numbers: Float[np.ndarray, "i j k c"], threads: int, /) -> None:
    """Turns values of cubic B-splines into their coefficients, in place."""
    for axis in range(3):
        _solve_along(np.moveaxis(numbers, axis, 0))


def _solve_along(values: Float[np.ndarray, "n _ _ _"]) -> None:
    """Solves systems with the weights 1/6, 2/3, 1/6 along the first axis, in place."""
    factors: list[float] = []
    for n in range(len(values)):
        before = factors[-1] if factors else 0.0
        factors.append(1 / (_MIDDLE_WEIGHT - _SIDE_WEIGHT**2 * before))
        if n:
            values[n] -= _SIDE_WEIGHT * values[n - 1]
        values[n] *= factors[n]
    for n in reversed(range(len(values) - 1)):
        values[n] -= _SIDE_WEIGHT * factors[n] * values[n + 1]


def smooth(
    image: Float[np.ndarray, "i j k"],
    weights_i: Float[np.ndarray, " a"],
    weights_j: Float[np.ndarray, " b"],
    weights_k: Float[np.ndarray, " c"],
    result: Float[np.ndarray, "i j k"],
    threads: int,
    /,
) -> None:
    """Convolves with symmetric kernels, given by their middle and one side."""
    from scipy.ndimage import correlate1d  # takes 0.1 s

    smoothed = image
    for axis, half in enumerate((weights_i, weights_j, weights_k)):
        kernel = np.concatenate([half[:0:-1], half])
        smoothed = correlate1d(smoothed, kernel, axis, np.float32, mode="nearest")
    result[:] = smoothed

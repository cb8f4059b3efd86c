"""Chains of matrices and fields that map positions, by NumPy and SciPy."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from voltween.spatial.stock.parts import for_parts

Rows = Float[np.ndarray, "3 n"]
"""Positions or vectors: their components are the rows."""


class Step(NamedTuple):
    """A matrix, then a field of displacements: p = M x, then p + L u(p)."""

    matrix: Float[np.ndarray, "3 4"]
    field: Float[np.ndarray, "i j k c"]
    """u at the voxels, or the coefficients of a spline."""
    to_voxels: Float[np.ndarray, "3 3"]
    """L, from the unit of u to voxels of the field."""
    reading: str
    """One of `voltween.spatial.chain.Reading`."""


class Chain:
    """Steps in the order in which they are applied, then a last matrix."""

    def __init__(self, last: Float[np.ndarray, "3 4"], /) -> None:
        self._last = last
        self.steps: list[Step] = []

    def add(
        self,
        matrix: Float[np.ndarray, "3 4"],
        field: Float[np.ndarray, "i j k c"],
        to_voxels: Float[np.ndarray, "3 3"],
        reading: str,
        /,
    ) -> None:
        """Adds a step after the others."""
        self.steps.append(Step(matrix, field, to_voxels, reading))

    def __call__(self, positions: Rows) -> Rows:
        """Returns the mapped positions, in a new array."""
        for step in self.steps:
            positions = multiply(step.matrix, positions)
            vectors = _read(step, positions)
            if vectors is not None:
                positions += multiply(step.to_voxels, vectors)
        return multiply(self._last, positions)


def map(chain: Chain, positions: Rows, mapped: Rows, threads: int, /) -> None:
    """Maps positions."""

    def work(begin: int, end: int) -> None:
        mapped[:, begin:end] = chain(positions[:, begin:end])

    for_parts(positions.shape[1], threads, work)


def multiply(matrix: Float[np.ndarray, "3 _"], positions: Rows) -> Rows:
    """Returns a matrix (3, 3) or (3, 4) times positions.

    The order of the sums is that of the compiled kernels, and the same for any number
    of positions.
    """
    x, y, z = positions
    products = np.empty(positions.shape)
    for row, product in zip(matrix, products, strict=True):
        product[:] = row[0] * x + row[1] * y + row[2] * z
        if len(row) == 4:
            product += row[3]
    return products


def is_on(shape: tuple[int, ...], positions: Rows) -> Bool[np.ndarray, " n"]:
    """Whether positions are at most half a voxel beyond the outermost voxels.

    The upper limit itself is outside, as in ITK.
    """
    stop = np.array(shape[:3])[:, None] - 0.5
    return np.all((positions >= -0.5) & (positions < stop), axis=0)


def inside(positions: Rows, low: float, high: Float[np.ndarray, "3"]) -> Rows:
    """The nearest positions within limits; 0 for what is not a number."""
    limits = np.maximum(high, low)[:, None]
    return np.nan_to_num(positions.clip(low, limits), copy=False)


def _read(step: Step, positions: Rows) -> Rows | None:
    """The vectors of a field at positions in its voxels; None if there are none."""
    from scipy.ndimage import map_coordinates  # takes 0.1 s

    sides = np.array(step.field.shape[:3], np.float64)
    is_spline = step.reading == "spline"
    low, high = (1.0, sides - 2) if is_spline else (0.0, sides - 1)
    reached = inside(positions, low, high)
    has_vector = _has_vector(step, positions, reached)
    if not has_vector.any():
        return None
    way = (
        {"order": 3, "mode": "mirror"} if is_spline else {"order": 1, "mode": "nearest"}
    )
    vectors = np.empty(positions.shape)
    for axis in range(3):
        component = step.field[..., axis]
        map_coordinates(component, reached, vectors[axis], prefilter=False, **way)
    vectors *= has_vector
    return vectors


def _has_vector(step: Step, positions: Rows, reached: Rows) -> Bool[np.ndarray, " n"]:
    """Whether a field has a vector at positions; `reached` are the nearest in it."""
    if step.reading == "spline":
        is_long = min(step.field.shape[:3]) > 2
        return np.all(positions == reached, axis=0) & is_long
    if step.reading == "linear":
        return is_on(step.field.shape, positions)
    return np.ones(positions.shape[1], bool)

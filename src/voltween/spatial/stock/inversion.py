"""Origins of positions under a chain of maps, by NumPy and SciPy.

The method is that of the compiled kernels (`src/native/inversion.h`): fixed-point steps
as long as they halve the error, then Newton's. Positions that are not solved yet are
iterated together.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from voltween.spatial.stock.chain import Chain, Rows, multiply
from voltween.spatial.stock.parts import for_parts, for_rows, whole

_SMALLEST_DETERMINANT = 0.02
_WORTHWHILE_REDUCTION = 0.5
_SMALLEST_STEP = 1 / 4096  # of Newton's, where a fold has no origin


def invert(
    chain: Chain,
    positions: Rows,
    tolerance: float,
    iterations: int,
    origins: Rows,
    errors: Rows,
    threads: int,
    /,
) -> None:
    """Improves origins of positions in place; `errors` are what is left."""

    def work(begin: int, end: int) -> None:
        search = _Search(chain, positions[:, begin:end], origins[:, begin:end])
        search.run(tolerance, iterations)
        origins[:, begin:end], errors[:, begin:end] = search.origins, search.errors

    for_parts(positions.shape[1], threads, work)


def invert_field(
    chain: Chain,
    vectors_mm: Float[np.ndarray, "i j k 3"],
    to_mm: Float[np.ndarray, "3 3"],
    tolerance: float,
    iterations: int,
    result_mm: Float[np.ndarray, "i j k 3"],
    residuals_mm: Float[np.ndarray, "i j k"],
    threads: int,
    /,
) -> None:
    """Inverts the only field of a chain at its voxels, each from its own vector."""
    to_voxels = chain.steps[0].to_voxels

    def work(rows: Int[np.ndarray, "2 rows"], voxels: Rows) -> None:
        vectors = vectors_mm[*rows].reshape(-1, 3).T
        search = _Search(chain, voxels, voxels - multiply(to_voxels, vectors))
        search.run(tolerance, iterations)
        inverse = multiply(to_mm, search.origins - voxels)
        residuals = np.linalg.norm(multiply(to_mm, search.errors), axis=0)
        result_mm[*rows] = inverse.T.reshape(rows.shape[1], -1, 3)
        residuals_mm[*rows] = residuals.reshape(rows.shape[1], -1)

    for_rows(whole(residuals_mm.shape), threads, work)


@dataclass(eq=False)
class _Search:
    """Origins of positions, and how the search for each of them goes on."""

    chain: Chain
    positions: Rows
    start: Rows
    origins: Rows = field(init=False)
    errors: Rows = field(init=False)
    """Mapped origins minus positions."""
    sizes: Float[np.ndarray, " n"] = field(init=False)
    """Lengths of the errors."""
    steps: Float[np.ndarray, " n"] = field(init=False)
    """Share of the next step that is taken."""
    is_slow: Bool[np.ndarray, " n"] = field(init=False)
    """Whether fixed-point steps have stopped halving the error."""

    def __post_init__(self) -> None:
        self.origins = self.start.copy()
        self.errors = self.chain(self.origins) - self.positions
        self.sizes = np.linalg.norm(self.errors, axis=0)
        self.steps = np.ones(self.sizes.shape)
        self.is_slow = np.zeros(self.sizes.shape, bool)

    def run(self, tolerance: float, iterations: int) -> None:
        """Improves the origins until their errors are below the tolerance."""
        for _ in range(iterations):
            is_open = (self.sizes > tolerance) & (self.steps > _SMALLEST_STEP)
            places = np.flatnonzero(is_open)
            if not places.size:
                break
            self._improve(places)

    def _improve(self, places: Int[np.ndarray, " m"]) -> None:
        """Tries one step at some places, and keeps it where it lowers the error."""
        steps, sizes = self.steps[places], self.sizes[places]
        is_newton = self.is_slow[places]
        origins = self.origins[:, places] - steps * self._directions(places)
        errors = self.chain(origins) - self.positions[:, places]
        reached = np.linalg.norm(errors, axis=0)
        is_better = reached < sizes
        longer = np.where(steps < 0.5, 2 * steps, 1)
        self.steps[places] = np.where(is_better | ~is_newton, longer, steps / 2)
        self.is_slow[places] |= reached > _WORTHWHILE_REDUCTION * sizes
        better = places[is_better]
        self.sizes[better] = reached[is_better]
        self.origins[:, better] = origins[:, is_better]
        self.errors[:, better] = errors[:, is_better]

    def _directions(self, places: Int[np.ndarray, " m"]) -> Rows:
        """The errors, or Newton's directions where fixed-point steps are slow."""
        directions = self.errors[:, places]
        is_newton = self.is_slow[places]
        if is_newton.any():
            directions[:, is_newton] = _newton(
                self.chain, self.origins[:, places[is_newton]], directions[:, is_newton]
            )
        return directions


def _newton(chain: Chain, origins: Rows, errors: Rows) -> Rows:
    """Solves J direction = error with J by central differences; error where T folds."""
    columns = [
        (chain(origins + one) - chain(origins - one)) / 2
        for one in np.eye(3)[:, :, None]
    ]
    crosses = [np.cross(columns[n - 2], columns[n - 1], axis=0) for n in range(3)]
    determinants = (columns[0] * crosses[0]).sum(axis=0)
    folds = determinants < _SMALLEST_DETERMINANT
    divisors = np.where(folds, 1, determinants)
    solved = np.stack([(cross * errors).sum(axis=0) / divisors for cross in crosses])
    return np.where(folds, errors, solved)

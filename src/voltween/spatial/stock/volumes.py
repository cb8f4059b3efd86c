"""Volumes and displacements at the mapped voxels of a grid, by NumPy and SciPy."""

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from voltween.spatial.stock.chain import Chain, Rows, inside, is_on, multiply
from voltween.spatial.stock.parts import for_parts, for_rows, whole

_PLANES = 4  # of determinants at once, besides the two beside them


def sample(
    chain: Chain,
    image: Float[np.ndarray, "i j k"],
    outside: float,
    is_soft: bool,
    result: Float[np.ndarray, "_ _ _"],
    threads: int,
    /,
) -> None:
    """Interpolates an image linearly; see `voltween.spatial.chain.sample`."""
    from scipy.ndimage import map_coordinates  # takes 0.1 s

    last = np.array(image.shape, np.float64) - 1
    mode = "grid-constant" if is_soft else "nearest"
    margin = 1.0 if is_soft else 0.0

    def work(rows: Int[np.ndarray, "2 rows"], voxels: Rows) -> None:
        positions = chain(voxels)
        reached = inside(positions, -margin, last + margin)
        values = np.empty(positions.shape[1])
        map_coordinates(image, reached, values, order=1, mode=mode, cval=outside)
        is_in = is_on(image.shape, positions)
        if is_soft:
            is_in = np.all(positions == reached, axis=0)
        values[~is_in] = outside
        result[*rows] = values.reshape(rows.shape[1], -1)

    for_rows(whole(result.shape), threads, work)


def pick(
    chain: Chain,
    volume: Shaped[np.ndarray, "i j k"],
    ends: Int[np.ndarray, "3 2"],
    result: Shaped[np.ndarray, "_ _ _"],
    threads: int,
    /,
) -> None:
    """Takes the nearest voxels within a box; 0 beyond the volume."""
    last = np.array(volume.shape, np.float64) - 1
    first, stop = ends[2]

    def work(rows: Int[np.ndarray, "2 rows"], voxels: Rows) -> None:
        positions = chain(voxels)
        nearest = inside(np.floor(positions + 0.5), 0.0, last).astype(np.intp)
        values = volume[*nearest]
        values[~is_on(volume.shape, positions)] = 0
        result[rows[0], rows[1], first:stop] = values.reshape(rows.shape[1], -1)

    for_rows(ends, threads, work)


def displacements(
    chain: Chain,
    scale: Float[np.ndarray, "3 3"],
    result: Float[np.ndarray, "i j k 3"],
    threads: int,
    /,
) -> None:
    """Displacements of a grid's voxels, multiplied by a matrix."""

    def work(rows: Int[np.ndarray, "2 rows"], voxels: Rows) -> None:
        vectors = multiply(scale, chain(voxels) - voxels)
        result[*rows] = vectors.T.reshape(rows.shape[1], -1, 3)

    for_rows(whole(result.shape), threads, work)


def lengths(
    chain: Chain,
    scale: Float[np.ndarray, "3 3"],
    where: UInt8[np.ndarray, "i j k"],
    result: Float[np.ndarray, "i j k"],
    threads: int,
    /,
) -> None:
    """Lengths of the displacements, multiplied by a matrix; 0 where not wanted."""

    def work(rows: Int[np.ndarray, "2 rows"], voxels: Rows) -> None:
        is_wanted = where[*rows].reshape(-1) != 0
        values = np.zeros(voxels.shape[1])
        if is_wanted.any():
            wanted = voxels[:, is_wanted]
            vectors = multiply(scale, chain(wanted) - wanted)
            values[is_wanted] = np.linalg.norm(vectors, axis=0)
        result[*rows] = values.reshape(rows.shape[1], -1)

    for_rows(whole(result.shape), threads, work)


def determinants(
    chain: Chain, result: Float[np.ndarray, "i j k"], threads: int, /
) -> None:
    """Determinants of the derivative of a map of a grid's voxels.

    By central differences, one-sided at the border.
    """
    deep, across, along = result.shape

    def work(begin: int, end: int) -> None:
        low, high = max(begin - 1, 0), min(end + 1, deep)
        voxels = np.indices((high - low, across, along), np.float64).reshape(3, -1)
        voxels[0] += low
        flow = (chain(voxels) - voxels).reshape(3, high - low, across, along)
        result[begin:end] = _determinants(flow)[begin - low : end - low]

    for_parts(deep, threads, work, size=_PLANES)


def _determinants(flow: Float[np.ndarray, "3 i j k"]) -> Float[np.ndarray, "i j k"]:
    a, b, c = (np.stack(np.gradient(component)) for component in flow)
    for axis, row in enumerate((a, b, c)):
        row[axis] += 1
    return (a * np.cross(b, c, axis=0)).sum(axis=0)

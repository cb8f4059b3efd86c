"""Parts of a range or of a grid, one after another or in several threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Int

_PART = 2**16  # positions: some megabytes, and next to no time for Python itself


def for_parts(
    count: int, threads: int, work: Callable[[int, int], None], *, size: int = _PART
) -> None:
    """Calls work(begin, end) for the parts of a range of that count.

    NumPy and SciPy let other threads run while they compute. The parts, and with them
    the results, do not depend on the number of threads.
    """
    parts = [(begin, min(begin + size, count)) for begin in range(0, count, size)]
    if threads == 1 or len(parts) < 2:
        for part in parts:
            work(*part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for finished in [pool.submit(work, *part) for part in parts]:
            finished.result()


def for_rows(
    box: Int[np.ndarray, "3 2"],
    threads: int,
    work: Callable[[Int[np.ndarray, "2 rows"], Float[np.ndarray, "3 n"]], None],
) -> None:
    """Calls work(rows, voxels) for parts of a box of a grid.

    A part has whole rows along the last axis: their places (i, j), and their voxels,
    row after row. The box has the first voxel and the one after the last of each axis.
    """
    (i, _), (j, _), (first, stop) = box.tolist()
    deep, across, _ = np.diff(box)[:, 0].tolist()
    along = np.arange(first, stop, dtype=np.float64)

    def work_on(begin: int, end: int) -> None:
        rows = np.stack(np.divmod(np.arange(begin, end), across))
        rows += np.array([[i], [j]])
        voxels = np.empty((3, end - begin, along.size))
        voxels[:2], voxels[2] = rows[:, :, None], along
        work(rows, voxels.reshape(3, -1))

    if along.size:
        for_parts(deep * across, threads, work_on, size=max(1, _PART // along.size))


def whole(shape: tuple[int, ...]) -> Int[np.ndarray, "3 2"]:
    """The box of all voxels of a grid."""
    return np.array([(0, n) for n in shape[:3]])

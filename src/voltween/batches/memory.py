"""The memory that the workers of a cohort may need, by the headers of its scans."""

import math
from collections.abc import Iterable

from voltween import io
from voltween.batches.work import Work
from voltween.process import machine_bytes
from voltween.workers import Engine

_FIXED_BYTES = 1.5e9
"""Python, PyTorch, the network and its features: heads took 1.3 to 2.1 GB in all."""
_BYTES_PER_VOXEL = 24
"""Of the largest scan: 105 million voxels took 2.77 GB (docs/reliability.md)."""
_GIGABYTE = 1e9


def pair_bytes(works: Iterable[Work]) -> float:
    """Estimates the memory in bytes that the largest of some pairs needs.

    Scans of unknown size, such as DICOM folders, do not count.
    """
    paths = {path for work in works for path in (work.job.fixed, work.job.moving)}
    grids = [grid for path in paths if (grid := io.grid_by_header(path)) is not None]
    most = max((math.prod(grid.shape) for grid in grids), default=0)
    return _FIXED_BYTES + _BYTES_PER_VOXEL * most


def memory_remark(works: Iterable[Work], engine: Engine) -> str | None:
    """Returns a line if local workers may need more memory than the machine has."""
    available = machine_bytes()
    if engine.workers == 1 or available is None:
        return None
    each = pair_bytes(works)
    if engine.workers * each <= available:
        return None
    return (
        f"{engine.workers} workers may need {engine.workers * each / _GIGABYTE:.1f} GB "
        f"of memory (by the largest scan, {each / _GIGABYTE:.1f} GB each), and this "
        f"machine has {available / _GIGABYTE:.1f} GB: give fewer --workers if some die"
    )

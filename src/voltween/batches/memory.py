"""The memory that the workers of a cohort may need, by the headers of its scans."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween import io
from voltween.batches.pair_job import PairJob
from voltween.batches.work import Work
from voltween.process import machine_bytes
from voltween.refinement import FEATURES
from voltween.storage import files_of
from voltween.workers import Engine

_FIXED_BYTES = 1.5e9
"""Python, PyTorch, the network and its features: heads took 1.3 to 2.1 GB in all."""
_BYTES_PER_VOXEL = 24
"""Of the largest scan: 105 million voxels took 2.77 GB (docs/reliability.md)."""
_BYTES_PER_OPTIMIZED = 400
"""Of the grid of a refinement that is given its voxels."""
_VOXELS_PER_BYTE = 2  # of compressed DICOM
_LIMIT = 2  # the estimate is rough, and a limit that is too low ends good work
_GIGABYTE = 1e9


def pair_bytes(works: Iterable[Work]) -> float:
    """Estimates the memory in bytes that the largest of some pairs needs."""
    works = list(works)
    paths = {path for work in works for path in (work.job.fixed, work.job.moving)}
    sizes = {path: _Size.of(path) for path in paths}
    return _FIXED_BYTES + max((_bytes_of(work.job, sizes) for work in works), default=0)


def memory_limit(works: Iterable[Work]) -> int:
    """The memory in bytes at which a worker is ended: twice the estimate."""
    return round(_LIMIT * pair_bytes(works))


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


@dataclass(frozen=True)
class _Size:
    """The size of a scan, as far as it is known before it is read."""

    voxels: float
    voxel_mm3: float = 1.0

    @classmethod
    def of(cls, path: Path) -> "_Size":
        """By the header, or by the bytes of files without one, such as DICOM."""
        grid = io.grid_by_header(path)
        if grid is not None:
            return cls(float(math.prod(grid.shape)), float(np.prod(grid.spacing_mm)))
        try:
            stored = sum(file.stat().st_size for file in files_of(path))
        except OSError:  # it will not be read, either
            stored = 0
        return cls(float(_VOXELS_PER_BYTE * stored))


def _bytes_of(job: PairJob, sizes: Mapping[Path, _Size]) -> float:
    """Memory that grows with the scans of a pair, and with the voxels optimized."""
    fixed, moving = sizes[job.fixed], sizes[job.moving]
    optimized, voxel_mm = 0.0, job.options.refinement.voxels
    if voxel_mm is not None:
        optimized = fixed.voxels
        if voxel_mm != "own":
            optimized *= fixed.voxel_mm3 / voxel_mm**3
    images = 1 + len(job.companions.fixed_channels)
    if job.options.refinement.similarity == FEATURES:
        images += 1  # 16 groups of structures, each a number per voxel
    scans = max(fixed.voxels, moving.voxels)
    return _BYTES_PER_VOXEL * scans + _BYTES_PER_OPTIMIZED * images * optimized

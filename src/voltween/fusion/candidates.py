"""The labels of atlases on the grid of a scan, as candidates for its labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from voltween.spatial import Grid, Image, LabelMap, Transform

_MARGIN_VOXELS = 4  # around all labels: local similarities look beyond them


@dataclass(frozen=True, eq=False)
class Atlas:
    """A labeled scan that was registered to another one."""

    image: Image
    labels: LabelMap
    from_scan: Transform
    """From the world of the scan to be labeled to that of the atlas, RAS+ mm."""

    def labels_on(self, grid: Grid) -> Shaped[np.ndarray, "i j k"]:
        """The labels on a grid of the scan."""
        return self.from_scan.resample(self.labels, onto=grid).data

    def image_on(self, grid: Grid) -> Float[np.ndarray, "i j k"]:
        """The intensities on a grid of the scan."""
        return self.from_scan.resample(self.image, onto=grid).data


@dataclass(frozen=True, eq=False)
class Candidates:
    """Atlases on one grid: the scan's, cut to where any of them has labels."""

    grid: Grid
    first: tuple[int, int, int]
    """The place of its first voxel in the scan."""
    scan: Float[np.ndarray, "i j k"]
    labels: Shaped[np.ndarray, "n i j k"]
    is_shown: Bool[np.ndarray, "n i j k"]
    """Whether the scan of an atlas shows a voxel; else it has no say there."""


def gather_candidates(scan: Image, atlases: Sequence[Atlas]) -> Candidates:
    """Resamples atlases onto the grid of a scan, around all of their labels."""
    first, stop = _box(scan.grid, atlases)
    i, j, k = (slice(*edges) for edges in zip(first, stop, strict=True))
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.voxel_to_world(first.astype(float))
    data = np.ascontiguousarray(scan.data[i, j, k])
    grid = Grid((data.shape[0], data.shape[1], data.shape[2]), affine)
    kind = np.result_type(*(atlas.labels.data.dtype for atlas in atlases))
    return Candidates(
        grid=grid,
        first=(int(first[0]), int(first[1]), int(first[2])),
        scan=data,
        labels=np.stack([a.labels_on(grid).astype(kind) for a in atlases]),
        is_shown=np.stack([_is_shown(atlas, grid) for atlas in atlases]),
    )


def _box(
    grid: Grid, atlases: Sequence[Atlas]
) -> tuple[Int[np.ndarray, " 3"], Int[np.ndarray, " 3"]]:
    """The first voxel of the box around all labels, and that behind its last."""
    shape = np.array(grid.shape)
    lows, highs = [shape], [np.zeros(3, int)]
    for atlas in atlases:
        labels = atlas.labels_on(grid)
        for axis in range(3):
            others = tuple({0, 1, 2} - {axis})
            places = np.flatnonzero(labels.any(axis=others))
            if places.size:
                low, high = shape.copy(), np.zeros(3, int)
                low[axis], high[axis] = places[0], places[-1] + 1
                lows.append(low)
                highs.append(high)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    if (low >= high).any():  # no label anywhere: one voxel of background
        return np.zeros(3, int), np.ones(3, int)
    return (low - _MARGIN_VOXELS).clip(0), np.minimum(high + _MARGIN_VOXELS, shape)


def _is_shown(atlas: Atlas, grid: Grid) -> Bool[np.ndarray, "i j k"]:
    everywhere = LabelMap(np.ones(atlas.image.grid.shape, np.uint8), atlas.image.grid)
    return atlas.from_scan.resample(everywhere, onto=grid).data > 0

"""Closed contours in planes of voxels, filled by the even-odd rule."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_DECIMALS = 3  # of a voxel; files round positions
_MOST_CROSSINGS = 1 << 20  # of edges and rows of voxels, computed at once
Contour = Float[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class Filled:
    """The inside of contours in a plane of voxels (I, J)."""

    box: tuple[slice, slice]
    """The voxels around the contours."""
    is_inside: Bool[np.ndarray, "i j"]
    """Which voxels of the box are inside."""


def fill(contours: Sequence[Contour], shape: tuple[int, int]) -> Filled:
    """Finds the voxel centers of a plane that are within an odd number of contours.

    Centers on a contour are inside, as DICOM has it (PS3.3 C.8.8.6.3). Positions are
    rounded to a thousandth of a voxel, so that noise does not decide about them.

    Args:
        contours: Positions (i, j) in voxels; the last one is joined to the first.
        shape: Number of voxels along i and j.
    """
    positions = np.concatenate(contours)
    ends = np.clip([positions.min(axis=0), positions.max(axis=0)], 0, shape)
    first, stop = np.floor(ends[0]).astype(int), np.floor(ends[1]).astype(int) + 2
    stop = np.minimum(stop, shape)
    box = slice(first[0], stop[0]), slice(first[1], stop[1])
    sizes = int(stop[0] - first[0]), int(stop[1] - first[1])
    return Filled(box, _inside([contour - first for contour in contours], sizes))


def _inside(
    contours: Sequence[Contour], shape: tuple[int, int]
) -> Bool[np.ndarray, "i j"]:
    toggles = np.zeros((shape[0] + 1, shape[1]), np.int32)
    is_on_contour = np.zeros(shape, bool)
    for edges in _edges(contours, shape[1]):
        _draw_level(edges[edges[:, 1] == edges[:, 3]], is_on_contour)
        edge, row = _rows(edges, shape[1])
        start, stop = edge[:, :2], edge[:, 2:]
        slope = (stop[:, 0] - start[:, 0]) / (stop[:, 1] - start[:, 1])
        crossing = start[:, 0] + slope * (row - start[:, 1])
        crossing = np.clip(crossing, -1.0, shape[0])
        # A row through a vertex crosses only one of the two edges that meet there.
        counts = row < np.maximum(start[:, 1], stop[:, 1])
        first_inside = np.maximum(np.ceil(crossing).astype(int), 0)
        np.add.at(toggles, (first_inside[counts], row[counts]), 1)
        nearest = np.rint(crossing).astype(int)
        is_on = np.abs(crossing - nearest) < 10.0**-_DECIMALS
        is_on &= (nearest >= 0) & (nearest < shape[0])
        is_on_contour[nearest[is_on], row[is_on]] = True
    return (np.cumsum(toggles[:-1], axis=0) % 2 == 1) | is_on_contour


def _edges(
    contours: Sequence[Contour], rows: int
) -> Iterator[Float[np.ndarray, "n 4"]]:
    """The edges (start i, start j, end i, end j), some at a time."""
    closed = [
        np.hstack([rounded, np.roll(rounded, -1, axis=0)])
        for rounded in (np.round(contour, _DECIMALS) for contour in contours)
    ]
    edges = np.concatenate(closed)
    yield from np.array_split(edges, 1 + len(edges) * rows // _MOST_CROSSINGS)


def _rows(
    edges: Float[np.ndarray, "n 4"], rows: int
) -> tuple[Float[np.ndarray, "m 4"], Int[np.ndarray, " m"]]:
    """Every pair of an edge that is not level and a row j that it meets."""
    sloping = edges[edges[:, 1] != edges[:, 3]]
    ends = np.clip(sloping[:, [1, 3]], -1, rows)
    first = np.maximum(np.ceil(ends.min(axis=1)), 0).astype(int)
    last = np.minimum(np.floor(ends.max(axis=1)), rows - 1).astype(int)
    counts = np.maximum(last - first + 1, 0)
    begin = np.repeat(np.cumsum(counts) - counts, counts)
    row = np.repeat(first, counts) + np.arange(counts.sum()) - begin
    return np.repeat(sloping, counts, axis=0), row


def _draw_level(
    edges: Float[np.ndarray, "n 4"], plane: Bool[np.ndarray, "i j"]
) -> None:
    """Marks the centers on edges along i."""
    for start, j, stop, _ in edges:
        if j == np.rint(j) and 0 <= j < plane.shape[1]:
            ends = np.clip([min(start, stop), max(start, stop)], -1, plane.shape[0])
            first, last = max(int(np.ceil(ends[0])), 0), int(np.floor(ends[1]))
            plane[first : last + 1, int(j)] = True

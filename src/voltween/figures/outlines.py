"""Outlines of the structures of label maps, on sections as displayed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from voltween.figures.planes import PLANES
from voltween.spatial import Grid, LabelMap, Transform

MOST_STRUCTURES = 12  # more would hide the picture


def label_sections(
    labels: LabelMap, transform: Transform, grid: Grid
) -> list[Int[np.ndarray, "_ _"]]:
    """The middle sections of a moved label map on the grid."""
    sections = []
    for plane in PLANES:
        slab = transform.resample(labels, onto=plane.slab(grid, 1))
        sections.append(plane.section(slab.data.astype(np.float64)).astype(np.int64))
    return sections


def largest_structures(sections: Sequence[Int[np.ndarray, "_ _"]]) -> list[int]:
    """The labels that cover most of the sections, at most twelve; without 0."""
    labels, counts = np.unique(
        np.concatenate([section.ravel() for section in sections]), return_counts=True
    )
    by_size = labels[np.argsort(-counts, kind="stable")]
    return [int(label) for label in by_size if label != 0][:MOST_STRUCTURES]


def draw_outlines(
    colors: Float[np.ndarray, "_ _ 3"],
    labels: Int[np.ndarray, "_ _"],
    *,
    chosen: Sequence[int],
    color: Float[np.ndarray, " 3"],
) -> Float[np.ndarray, "_ _ 3"]:
    """Draws the outermost pixels of the chosen structures in a color, RGB 0 to 1."""
    edges = _edges(np.where(np.isin(labels, chosen), labels, 0))
    return np.where(edges[..., None], color, colors)


def _edges(labels: Int[np.ndarray, "_ _"]) -> Bool[np.ndarray, "_ _"]:
    """The pixels of structures that have a neighbor of another label."""
    around = np.pad(labels, 1)
    neighbors = (
        around[2:, 1:-1],
        around[:-2, 1:-1],
        around[1:-1, 2:],
        around[1:-1, :-2],
    )
    is_edge = np.any([neighbor != labels for neighbor in neighbors], axis=0)
    return is_edge & (labels > 0)

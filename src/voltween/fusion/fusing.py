"""The fusion of the labels of atlases on a scan."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from voltween.fusion.candidates import Atlas, Candidates, gather_candidates
from voltween.fusion.staple import staple
from voltween.fusion.votes import disputed, most_supported
from voltween.fusion.weights import correlation_weights
from voltween.spatial import Image, LabelMap

Fusion = Literal["weighted", "majority", "staple"]


def fuse_labels(scan: Image, atlases: Sequence[Atlas], fusion: Fusion) -> LabelMap:
    """Labels a scan by atlases that were registered to it, on the scan's grid.

    Args:
        scan: The scan.
        atlases: At least one; each has no say where its scan shows nothing.
        fusion: `majority`, every atlas with one vote; `weighted`, with votes by local
            similarity; or `staple`, for which an atlas that does not show a voxel has
            the label there that most others give it.
    """
    candidates = gather_candidates(scan, atlases)
    data = np.zeros(scan.grid.shape, candidates.labels.dtype)
    box = tuple(
        slice(first, first + size)
        for first, size in zip(candidates.first, candidates.grid.shape, strict=True)
    )
    data[box] = _fused(candidates, atlases, fusion)
    return LabelMap(data, scan.grid)


def _fused(
    candidates: Candidates, atlases: Sequence[Atlas], fusion: Fusion
) -> Shaped[np.ndarray, "i j k"]:
    labels = candidates.labels
    where = disputed(labels, candidates.is_shown)
    weights = candidates.is_shown[:, where].astype(float)
    if fusion == "weighted" and where.any():
        images = np.stack([atlas.image_on(candidates.grid) for atlas in atlases])
        weights *= correlation_weights(candidates.scan, images, where)
    fused = labels[0].copy()
    fused[where] = most_supported(labels[:, where], weights)
    if fusion == "staple":
        return staple(np.where(candidates.is_shown, labels, fused))
    return fused

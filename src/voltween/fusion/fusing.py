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
            similarity; or `staple`.
    """
    candidates = gather_candidates(scan, atlases)
    data = np.zeros(scan.grid.shape, candidates.labels.dtype)
    box = tuple(
        slice(first, first + size)
        for first, size in zip(candidates.first, candidates.grid.shape, strict=True)
    )
    data[box] = _fused(candidates, fusion)
    return LabelMap(data, scan.grid)


def _fused(candidates: Candidates, fusion: Fusion) -> Shaped[np.ndarray, "i j k"]:
    if fusion == "staple":
        return staple(candidates.labels)
    labels = candidates.labels
    where = disputed(labels, candidates.is_shown)
    weights = candidates.is_shown[:, where].astype(float)
    if fusion == "weighted" and where.any():
        weights *= correlation_weights(candidates.scan, candidates.images, where)
    fused = labels[0].copy()
    fused[where] = most_supported(labels[:, where], weights)
    return fused

"""Labels in a training: stored and warped without a change of their values."""

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from voltween.ops import warp_nearest

_EXACT = 2**24  # whole numbers up to this one are exact in single precision


def label_tensor(labels: Integer[np.ndarray, "i j k"]) -> Int[Tensor, "1 i j k"]:
    """The labels as a tensor, in 32 bits if they fit."""
    fits = np.abs(labels).max() <= np.iinfo(np.int32).max
    return torch.from_numpy(labels.astype(np.int32 if fits else np.int64))[None]


def warp_labels(
    labels: Int[Tensor, "1 i j k"], flow: Float[Tensor, "1 3 i j k"]
) -> Int[Tensor, "1 i j k"]:
    """The labels at the voxels nearest to where a flow, in voxels, leads."""
    if labels.abs().max() <= _EXACT:
        return warp_nearest(labels[None].float(), flow)[0].to(labels.dtype)
    values, places = labels.unique(return_inverse=True)
    return values[warp_nearest(places[None].float(), flow)[0].long()]

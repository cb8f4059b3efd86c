"""Similarities of images by name, for training and for refinement alike."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from voltween.losses import (
    correlation_loss,
    local_correlation_loss,
    mean_squared_error,
    mutual_information_loss,
)

Similarity = Literal[
    "correlation", "local correlation", "mean squared error", "mutual information"
]
SimilarityLoss = Callable[
    [Float[Tensor, "b 1 i j k"], Float[Tensor, "b 1 i j k"]], Float[Tensor, ""]
]
"""(fixed, moved) -> what is smallest where the images are alike."""

_LOSSES: dict[Similarity, SimilarityLoss] = {
    "correlation": correlation_loss,
    "mean squared error": mean_squared_error,
    "mutual information": mutual_information_loss,
}


def similarity_loss(name: Similarity, *, window_voxels: int) -> SimilarityLoss:
    """The loss of that name; `window_voxels` is the side of local correlation's cubes.

    Intensities are from 0 to 1.
    """
    if name == "local correlation":
        return partial(local_correlation_loss, width=window_voxels)
    return _LOSSES[name]

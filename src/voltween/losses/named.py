"""Similarities of images by name, for training and for refinement alike."""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from voltween.losses import similarity as losses
from voltween.losses import weighted
from voltween.losses.information import (
    mutual_information_loss,
    normalized_mutual_information_loss,
)
from voltween.losses.mind import mind_ssc

Similarity = Literal[
    "correlation",
    "local correlation",
    "mean squared error",
    "mutual information",
    "normalized mutual information",
    "MIND-SSC",
]
SimilarityLoss = Callable[
    [Float[Tensor, "b 1 i j k"], Float[Tensor, "b 1 i j k"]], Float[Tensor, ""]
]
"""(fixed, moved) -> what is smallest where the images are alike."""

FeatureLoss = Callable[
    [
        Float[Tensor, "b n i j k"],
        Float[Tensor, "b n i j k"],
        Float[Tensor, "b 1 i j k"] | None,
    ],
    Float[Tensor, ""],
]
"""(fixed features, moved features, weights) -> what is smallest where they are alike.

Weights say how much a voxel counts (0: not at all); without any, every voxel counts.
"""

# Mean squared difference of the descriptors of unrelated images (0.14 for white noise,
# more for smooth ones). Divided by it, the loss of these is about 1, as with the
# correlation, so that the weights of other terms suit both.
_UNRELATED = 0.15


class Measure(NamedTuple):
    """What of two images is compared, and how."""

    describe: Callable[[Float[Tensor, "b 1 i j k"]], Float[Tensor, "b n i j k"]]
    """Features of an image, once and for all: they may be warped in its place. The
    image itself but for MIND-SSC."""
    loss: FeatureLoss


def measure_named(name: Similarity, *, window_voxels: int) -> Measure:
    """The measure of that name, for training and refinement.

    `window_voxels` is the side of the cubes of the local correlation. Intensities
    are from 0 to 1.
    """
    if name == "MIND-SSC":
        return Measure(mind_ssc, _descriptor_loss)
    if name == "local correlation":
        plain = partial(losses.local_correlation_loss, width=window_voxels)
        masked = partial(weighted.local_correlation_loss, width=window_voxels)
        return Measure(_itself, _either(plain, masked))
    return Measure(_itself, _LOSSES[name])


def similarity_loss(name: Similarity, *, window_voxels: int) -> SimilarityLoss:
    """The loss of that name; `window_voxels` is the side of local correlation's cubes.

    Intensities are from 0 to 1.
    """
    measure = measure_named(name, window_voxels=window_voxels)

    def loss(fixed: Tensor, moved: Tensor) -> Tensor:
        return measure.loss(measure.describe(fixed), measure.describe(moved), None)

    return loss


def _either(plain: Callable[..., Tensor], masked: Callable[..., Tensor]) -> FeatureLoss:
    """The plain loss without weights, the weighted one with them."""

    def loss(fixed: Tensor, moved: Tensor, weights: Tensor | None) -> Tensor:
        if weights is None:
            return plain(fixed, moved)
        return masked(fixed, moved, weights)

    return loss


def _itself(image: Tensor) -> Tensor:
    return image


_mean_squared_error = _either(losses.mean_squared_error, weighted.mean_squared_error)


def _descriptor_loss(fixed: Tensor, moved: Tensor, weights: Tensor | None) -> Tensor:
    return _mean_squared_error(fixed, moved, weights) / _UNRELATED


_LOSSES: dict[Similarity, FeatureLoss] = {
    "correlation": _either(losses.correlation_loss, weighted.correlation_loss),
    "mean squared error": _mean_squared_error,
    "mutual information": _either(
        mutual_information_loss, weighted.mutual_information_loss
    ),
    "normalized mutual information": normalized_mutual_information_loss,
}

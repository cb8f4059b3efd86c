"""Similarities of images by name, for training and for instance optimization."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from voltween.errors import InputError
from voltween.losses.information import (
    mutual_information_loss,
    normalized_mutual_information_loss,
)
from voltween.losses.mind import mind_ssc
from voltween.losses.similarity import (
    CONTRAST_FLOOR,
    correlation_loss,
    local_correlation_loss,
    mean_squared_error,
)
from voltween.ops import Window

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
"""(fixed, moved) -> loss, smallest for images that agree."""

FeatureLoss = Callable[
    [
        Float[Tensor, "b n i j k"],
        Float[Tensor, "b n i j k"],
        Float[Tensor, "b 1 i j k"] | None,
    ],
    Float[Tensor, ""],
]
"""(fixed features, moved features, weights) -> loss, smallest for features that agree.

A weight is the influence of a voxel, 0 for none; without weights, all voxels count.
"""

# Mean squared difference of the descriptors of unrelated images (0.14 for white noise,
# more for smooth images). Divided by it, their loss is about 1, as with the
# correlation, so that the weights of other terms suit both.
_UNRELATED = 0.15


class Measure(NamedTuple):
    """Features of the images, and the loss that compares them."""

    describe: Callable[[Float[Tensor, "b 1 i j k"]], Float[Tensor, "b n i j k"]]
    """Computes the features of an image, which may be warped in place of the image.
    They are the image itself, except for MIND-SSC."""
    loss: FeatureLoss
    window: Window | None = None
    """The cubes, if this is the local correlation of the images."""
    unit: float | None = None
    """The factor, if this is one over it times the features' mean squared error."""


def measure_of(loss: SimilarityLoss) -> Measure:
    """The measure of a loss (fixed, moved) -> scalar, which compares whole images.

    It raises an `InputError` for masks, because the loss knows no weights, and where
    the loss returns anything but a finite scalar with a gradient.
    """

    def compare(fixed: Tensor, moved: Tensor, weights: Tensor | None) -> Tensor:
        if weights is not None:
            raise InputError(
                about="similarity",
                expected="one of the named similarities, which know masks",
                got=f"the function {name_of_loss(loss)}",
                advice="leave the masks out, or give a name",
            )
        value = loss(fixed, moved)
        _check_value(value, moved, name_of_loss(loss))
        return value

    return Measure(_same_image, compare)


def name_of_loss(loss: Similarity | SimilarityLoss) -> str:
    """The name of a similarity; of a function, where it is defined."""
    if isinstance(loss, str):
        return loss
    place = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{place.__module__}.{place.__qualname__}"


def _check_value(value: object, moved: Tensor, name: str) -> None:
    """Checks what a loss of a user returned.

    Raises:
        InputError: If it is no finite number with a gradient where the images have one.
    """
    expected = (
        "a scalar tensor, the mean over the batch, smallest for images that agree"
    )
    got = type(value).__name__
    if isinstance(value, Tensor):
        got = f"a tensor of shape {tuple(value.shape)}"
        if value.numel() == 1 and not value.isfinite().all():
            got = str(value.item())
        elif value.ndim == 0 and moved.requires_grad and not value.requires_grad:
            got = "a number without gradient"
        elif value.ndim == 0:
            return
    advice = "compute it with functions of PyTorch on the tensors themselves"
    raise InputError(
        about=f"similarity {name}", expected=expected, got=got, advice=advice
    )


def measure_named(
    name: Similarity, *, window_voxels: int, seed: int | Sequence[int] = 0
) -> Measure:
    """The measure of that name, for training and instance optimization.

    `window_voxels` is the side of the cubes of the local correlation; `seed`, one for
    all pairs or one per pair, chooses the voxels that mutual information samples.
    Intensities are from 0 to 1.
    """
    if name == "MIND-SSC":
        return Measure(mind_ssc, _descriptor_loss, unit=_UNRELATED)
    if name == "local correlation":
        return Measure(
            _same_image,
            lambda fixed, moved, weights: local_correlation_loss(
                fixed, moved, weights, width=window_voxels
            ),
            Window(window_voxels, CONTRAST_FLOOR),
        )
    if name == "mutual information":
        return Measure(_same_image, partial(mutual_information_loss, seed=seed))
    return Measure(_same_image, _LOSSES[name])


def feature_measure(channels: int) -> Measure:
    """The measure of learned features: shares of groups of structures.

    It is half the squared difference per voxel: 1 where the groups differ for sure.
    """
    unit = 2 / channels

    def loss(fixed: Tensor, moved: Tensor, weights: Tensor | None) -> Tensor:
        return mean_squared_error(fixed, moved, weights) / unit

    return Measure(_same_image, loss, unit=unit)


def similarity_loss(
    name: Similarity, *, window_voxels: int, seed: int | Sequence[int] = 0
) -> SimilarityLoss:
    """The loss of that name, with the arguments of `measure_named`.

    Intensities are from 0 to 1.
    """
    measure = measure_named(name, window_voxels=window_voxels, seed=seed)

    def loss(fixed: Tensor, moved: Tensor) -> Tensor:
        return measure.loss(measure.describe(fixed), measure.describe(moved), None)

    return loss


def _same_image(image: Tensor) -> Tensor:
    return image


def _descriptor_loss(fixed: Tensor, moved: Tensor, weights: Tensor | None) -> Tensor:
    return mean_squared_error(fixed, moved, weights) / _UNRELATED


_LOSSES: dict[Similarity, FeatureLoss] = {
    "correlation": correlation_loss,
    "mean squared error": mean_squared_error,
    "normalized mutual information": normalized_mutual_information_loss,
}

"""What a network sees of an image: its intensities, or its edges in any contrast."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from voltween.errors import InputError

Sight = Literal["intensities", "edges"]

_WIDTH = 3  # voxels, of the cubes in which intensities are compared
_HALF = 0.04  # spread of intensities, 0 to 1, that counts as half an edge
_SMALLEST = 1e-6  # variance; the slope of the square root is infinite at 0


def check_sight(sees: str) -> None:
    """Refuses an unknown sight.

    Raises:
        InputError: If it is neither "intensities" nor "edges".
    """
    if sees not in get_args(Sight):
        raise InputError(
            about="sees", expected=" or ".join(map(repr, get_args(Sight))), got=sees
        )


def edges(image: Float[Tensor, "b 1 i j k"]) -> Float[Tensor, "b 1 i j k"]:
    """Returns how much intensities differ around every voxel, from 0 to almost 1.

    It is s / (s + 0.04), s being the standard deviation in a cube of 3^3 voxels. An
    image and its negative have the same edges, and strong edges look like weaker ones:
    what is left of the contrast is where it changes.
    """
    centered = image - 0.5  # smaller squares, of whose difference less is rounded off
    mean, mean_square = map(_average, (centered, centered.square()))
    spread = (mean_square - mean.square()).clamp_min(0).add(_SMALLEST).sqrt()
    return spread / (spread + _HALF)


def _average(image: Tensor) -> Tensor:
    """Means of the cubes around every voxel, without what is beyond the border.

    Axis by axis, which is three times as fast as torch's pooling of whole cubes.
    """
    for axis in (2, 3, 4):
        sides = [image.shape[axis] if n == axis else 1 for n in range(image.ndim)]
        image = _sums(image, axis) / _sums(image.new_ones(sides), axis)
    return image


def _sums(values: Tensor, axis: int) -> Tensor:
    """Sums of the neighbors along an axis, without what is beyond the border."""
    size = values.shape[axis]
    reach = _WIDTH // 2
    padded = pad(values, [0, 0] * (values.ndim - 1 - axis) + [reach, reach])
    return sum(
        (padded.narrow(axis, n, size) for n in range(1, _WIDTH)),
        start=padded.narrow(axis, 0, size),
    )

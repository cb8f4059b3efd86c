"""Sums over boxes of voxels, by PyTorch alone, for tensors of any device."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def sum_boxes(
    image: Float[Tensor, "b c i j k"], width: int
) -> Float[Tensor, "b c i2 j2 k2"]:
    """Returns the sum over every cube of `width` voxels that lies inside the image.

    The result has width - 1 voxels less along each axis. Differentiable once.

    Raises:
        ValueError: If the image is smaller than one cube.
    """
    if min(image.shape[2:]) < width:
        raise ValueError(
            f"image must be at least {width} voxels long along each axis, got "
            f"{tuple(image.shape[2:])}"
        )
    return _BoxSums.apply(image, width)  # type: ignore[no-untyped-call]


def sum_centered_boxes(
    image: Float[Tensor, "b c i j k"], width: int
) -> Float[Tensor, "b c i j k"]:
    """Returns the sum over the cube of `width` voxels (odd) around every voxel.

    Voxels beyond the border count as 0.
    """
    return sum_boxes(functional.pad(image, [width // 2] * 6), width)


class _BoxSums(torch.autograd.Function):
    # Written by hand: autograd would fill a whole volume for every shifted view.

    @staticmethod
    def forward(ctx: Any, image: Tensor, width: int) -> Tensor:
        ctx.width = width
        return _sums(image, width)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        # A voxel is in the cubes that end at it or at one of the next width - 1 voxels.
        return _sums(functional.pad(gradient, [ctx.width - 1] * 6), ctx.width), None


def _sums(image: Tensor, width: int) -> Tensor:
    # One axis after the other: the sum over a cube is separable.
    for axis in (2, 3, 4):
        length = image.shape[axis] - width + 1
        total = image.narrow(axis, 0, length).clone()
        for shift in range(1, width):
            total += image.narrow(axis, shift, length)
        image = total
    return image

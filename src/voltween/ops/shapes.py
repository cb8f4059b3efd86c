"""Shapes that the kernels trust: a wrong one would read foreign memory."""

from torch import Tensor


def check_shape(name: str, tensor: Tensor, *expected: int) -> None:
    """Refuse a tensor of another shape.

    Raises:
        ValueError: If the shape is not the one expected.
    """
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"{name} must have shape {expected}, got {tuple(tensor.shape)}"
        )


def check_volume(name: str, tensor: Tensor) -> None:
    """Refuse a tensor that is not a batch of volumes.

    Raises:
        ValueError: If it has not five axes.
    """
    if tensor.ndim != 5:
        raise ValueError(
            f"{name} must have shape (B, C, I, J, K), got {tuple(tensor.shape)}"
        )

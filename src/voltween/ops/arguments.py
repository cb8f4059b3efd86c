"""Arguments as the compiled operations trust them: shape, memory layout, precision."""

from collections.abc import Sequence

import torch
from torch import Tensor

_MOST_VOXELS = 2**31 - 1  # places within a volume are counted in 32 bits


def check_shape(name: str, tensor: Tensor, *expected: int) -> None:
    """Refuses a tensor of another shape, which would let a kernel read foreign memory.

    Raises:
        ValueError: If the shape is not the one expected.
    """
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"{name} must have shape {expected}, got {tuple(tensor.shape)}"
        )


def check_volume(name: str, tensor: Tensor) -> None:
    """Refuses a tensor that is not a batch of volumes.

    Raises:
        ValueError: If it does not have five axes.
    """
    if tensor.ndim != 5:
        raise ValueError(
            f"{name} must have shape (B, C, I, J, K), got {tuple(tensor.shape)}"
        )


def check_flow(name: str, tensor: Tensor) -> None:
    """Refuses a tensor that is not a batch of flows.

    Raises:
        ValueError: If its shape is not (B, 3, I, J, K).
    """
    check_volume(name, tensor)
    check_shape(name, tensor, len(tensor), 3, *tensor.shape[2:])


def check_gradient(gradient: Tensor, *expected: int) -> None:
    """Refuses the gradient of a result of another shape, as `check_shape` does.

    Raises:
        ValueError: If the shape is not that of the result.
    """
    check_shape("gradient", gradient, *expected)


def lay_out(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Returns the tensors contiguous and detached, as the kernels read them.

    Raises:
        ValueError: If a volume has more voxels than the kernels can count.
    """
    for tensor in tensors:
        if tensor.ndim == 5 and tensor[0, 0].numel() > _MOST_VOXELS:
            raise ValueError(
                f"volumes must have at most {_MOST_VOXELS} voxels, got a tensor of "
                f"shape {tuple(tensor.shape)}: work on a coarser grid"
            )
    return tuple(tensor.detach().contiguous() for tensor in tensors)


def allocate_wanted(
    first: Tensor, second: Tensor, wants: Sequence[bool]
) -> tuple[Tensor, Tensor]:
    """Returns empty gradients of two tensors; of 0 elements where not wanted."""
    return (
        first.new_empty(first.shape if wants[0] else 0),
        second.new_empty(second.shape if wants[1] else 0),
    )


def or_none(
    gradients: tuple[Tensor, Tensor], wants: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Returns the gradients with None in place of the unwanted ones."""
    return gradients[0] if wants[0] else None, gradients[1] if wants[1] else None


def check_wants(wants: Sequence[bool]) -> None:
    """Refuses anything but one truth value per gradient of two tensors.

    Raises:
        ValueError: If there are not two.
    """
    if len(wants) != 2:
        raise ValueError(f"wants must have 2 truth values, got {len(wants)}")


def check_width(width: int) -> None:
    """Refuses the side of a cube around a voxel that is even or smaller than 1.

    Raises:
        ValueError: If it is.
    """
    if width < 1 or width % 2 == 0:
        raise ValueError(f"width must be an odd number of voxels > 0, got {width}")


def useful_width(width: int, shape: Sequence[int]) -> int:
    """Returns the width, or the smallest one whose cubes all cover the whole volume.

    Cubes end at the border: wider ones make no difference, but would take memory.
    """
    return min(width, 2 * max(shape) - 1)


def same_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in single precision, or all in double if one of them is."""
    is_double = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = torch.float64 if is_double else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)

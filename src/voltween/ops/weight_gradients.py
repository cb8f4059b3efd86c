"""Gradients of the weights of convolutions, by kernels of our own.

At stride 1 they are computed by minimal filtering (`ops/winograd.py`), whose transpose
takes as few products as the convolution itself, at other strides directly. PyTorch's
(oneDNN's) reach a fraction of the speed of the convolution where a layer has few
channels. The number of threads does not change the result.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import check_shape
from voltween.ops.native import native, runs_compiled


def weight_gradient(
    x: Float[Tensor, "b c i j k"],
    gradient: Float[Tensor, "b c2 i2 j2 k2"],
    size: int,
    stride: int = 1,
    padding: int = 1,
) -> Float[Tensor, "c2 c size size size"] | None:
    """Returns the gradient of a convolution's weights, or None without such a kernel.

    There is one for features in single precision on a CPU with AVX2 or AVX-512, and for
    kernels of 2^3 or 3^3 voxels.

    Args:
        x: Features that were convolved.
        gradient: Gradient of the result.
        size: Voxels of the kernel per axis.
        stride: Of the convolution.
        padding: Zeros around the features, in voxels.

    Raises:
        ValueError: If the gradient does not have the shape of the result.
    """
    if not runs_compiled(x, gradient):
        return None
    has_kernel = native.winograd_panel(1) > 0 and size in (2, 3)
    is_single = x.dtype == gradient.dtype == torch.float32
    if not has_kernel or not is_single:
        return None
    sides = [(n + 2 * padding - size) // stride + 1 for n in x.shape[2:]]
    check_shape("gradient", gradient, len(x), gradient.shape[1], *sides)
    result = torch.empty(gradient.shape[1], x.shape[1], size, size, size)
    native.weight_gradient(
        _lay_out(x),
        _lay_out(gradient),
        size,
        stride,
        padding,
        result,
        torch.get_num_threads(),
    )
    return result


def _lay_out(x: Tensor) -> Tensor:
    return x.detach().permute(0, 2, 3, 4, 1).contiguous()

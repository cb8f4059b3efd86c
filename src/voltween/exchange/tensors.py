"""Images and label maps from and to tensors of PyTorch."""

import math

import numpy as np
import torch
from jaxtyping import Num
from torch import Tensor

from voltween.errors import InputError, check_type
from voltween.exchange.arguments import V, advice_on
from voltween.spatial import Grid, Image, LabelMap


def to_torch(volume: Image | LabelMap) -> Num[Tensor, "1 1 i j k"]:
    """Copies the voxels into a tensor: intensities as float32, labels as int64.

    Raises:
        InputError: If a label is beyond int64.
    """
    data = volume.data
    if isinstance(volume, LabelMap):
        if data.dtype == np.uint64 and data.max(initial=0) > np.iinfo(np.int64).max:
            raise InputError(
                about="labels",
                expected="labels that int64 holds, up to 2**63 - 1",
                got=int(data.max()),
            )
        data = data.astype(np.int64)
    return torch.from_numpy(data.copy())[None, None]


def from_torch(tensor: object, grid: object, kind: type[V]) -> V:
    """Makes an image or a label map of a tensor and the grid of its voxels, RAS+ mm.

    Raises:
        InputError: If they are something else, or do not fit each other, or the tensor
            is sparse, nested or quantized, or has no values.
    """
    check_type(
        tensor,
        Tensor,
        about="tensor",
        expected="a tensor of PyTorch",
        advice=advice_on(tensor, kind),
    )
    advice = "give the .grid of the image that the tensor comes from"
    check_type(grid, Grid, about="grid", expected="a Grid", advice=advice)
    assert isinstance(tensor, Tensor)  # for mypy, as the next one
    assert isinstance(grid, Grid)
    return kind(_voxels(tensor, grid), grid)


def _voxels(tensor: Tensor, grid: Grid) -> np.ndarray:
    """A copy of the voxels in memory (I, J, K)."""
    _check_is_dense(tensor)
    shape = tuple(tensor.shape)
    if shape[-3:] != grid.shape or tensor.numel() != math.prod(grid.shape):
        i, j, k = grid.shape
        raise InputError(
            about="tensor",
            expected=f"shape ({i}, {j}, {k}) of the grid, or (1, 1, {i}, {j}, {k})",
            got=shape,
        )
    values = tensor.detach().cpu().resolve_neg().reshape(grid.shape)
    if values.dtype.is_floating_point and values.dtype != torch.float64:
        values = values.float()  # NumPy has no bfloat16
    try:
        return values.numpy().copy()
    except (RuntimeError, TypeError) as error:  # quantized, or of the compiler
        raise InputError(
            about="tensor",
            expected="plain numbers, which NumPy can hold",
            got=f"{type(tensor).__name__} of {tensor.dtype}",
            advice="give its .dequantize()" if tensor.is_quantized else "",
        ) from error


def _check_is_dense(tensor: Tensor) -> None:
    """Checks that a tensor is one block of memory with values."""
    if tensor.is_nested or tensor.layout is not torch.strided:
        raise InputError(
            about="tensor",
            expected="a dense tensor",
            got="a nested one" if tensor.is_nested else tensor.layout,
            advice="" if tensor.is_nested else "give its .to_dense()",
        )
    if tensor.is_meta:
        raise InputError(
            about="tensor",
            expected="a tensor with values",
            got="one on the device meta, which has none",
            advice="give one that was computed on cpu or cuda",
        )

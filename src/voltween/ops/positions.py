"""Positions of a grid's voxels, which stock forms of operations start from."""

import torch
from jaxtyping import Float
from torch import Tensor


def voxel_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    """Index (i, j, k) of every voxel, with the dtype and device of `like`."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)

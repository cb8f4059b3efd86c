"""Positions of a grid's voxels, and those that a flow keeps inside the grid."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from voltween.ops.arguments import check_flow


def voxel_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    """Index (i, j, k) of every voxel, with the dtype and device of `like`."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def valid_domain(flow: Float[Tensor, "b 3 i j k"]) -> Bool[Tensor, "b 1 i j k"]:
    """Returns the mask of voxels x whose x + flow(x) stays inside the grid (eq. 18).

    The grid is the cuboid between the outermost voxel centers, onto which `warp` moves
    points from beyond it. A NaN in the flow is not inside.

    Raises:
        ValueError: If the flow does not have shape (B, 3, I, J, K).
    """
    check_flow("flow", flow)
    moved = voxel_positions(flow.shape[2:], like=flow) + flow
    top = torch.tensor(flow.shape[2:], device=flow.device)[:, None, None, None] - 1
    return ((moved >= 0) & (moved <= top)).all(dim=1, keepdim=True)

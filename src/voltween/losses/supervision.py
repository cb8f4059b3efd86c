"""Losses of supervision: against target flows, labels, landmarks."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import moments, same_precision

_VANISHING = 1e-12  # the slope of the square root is infinite at 0
_SMALLEST_OVERLAP = 1e-5


def end_point_error(
    flow: Float[Tensor, "b 3 i j k"], target: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, ""]:
    """Mean distance, in voxels, between the vectors of a flow and of a target flow.

    Voxels whose target is not a number have no target and do not count. The error is
    the mean of those of the pairs, as devices share the pairs of a step; that of a pair
    without any target is 0.

    The loss of the paper's supervised variant (section V-A, "supervised").
    """
    is_known = target.isfinite().all(dim=1)
    difference = flow - target.nan_to_num()
    distance = difference.square().sum(dim=1).add(_VANISHING).sqrt()
    sums = (distance * is_known).sum((1, 2, 3))
    return (sums / is_known.sum((1, 2, 3)).clamp_min(1)).mean()


def dice_loss(
    fixed: Float[Tensor, "b labels i j k"], moved: Float[Tensor, "b labels i j k"]
) -> Float[Tensor, ""]:
    """1 - Dice of soft label maps (0 to 1, one channel per label).

    It is the mean over the labels of a pair, then over the pairs. A label that neither
    map of a pair has does not count.

    References:
        Milletari et al. 2016, V-Net, doi:10.1109/3DV.2016.79.
    """
    one_each = (maps.flatten(0, 1)[:, None] for maps in same_precision(fixed, moved))
    sums = moments(*one_each).to(moved.dtype).unflatten(0, fixed.shape[:2])
    _, _, fixed_squares, moved_squares, products = sums.unbind(-1)
    size = fixed_squares + moved_squares
    is_present = size > _SMALLEST_OVERLAP
    loss = 1 - 2 * products / size.clamp_min(_SMALLEST_OVERLAP)
    return ((loss * is_present).sum(1) / is_present.sum(1).clamp_min(1)).mean()


def landmark_distance(
    flow: Float[Tensor, "b 3 i j k"],
    fixed: Float[Tensor, "b n 3"],
    moving: Float[Tensor, "b n 3"],
) -> Float[Tensor, ""]:
    """Mean distance, in voxels, from x + flow(x) to the moving image's landmark.

    Landmarks are voxel positions (i, j, k) on the flow's grid. The flow is interpolated
    linearly between voxels and constant beyond the border.
    """
    reached = fixed + read_linearly(flow, fixed)
    return (reached - moving).square().sum(-1).add(_VANISHING).sqrt().mean()


def read_linearly(
    flow: Float[Tensor, "b c i j k"], points: Float[Tensor, "b n 3"]
) -> Float[Tensor, "b n c"]:
    """Values at voxel positions, trilinear, constant beyond the border."""
    shape = torch.tensor(flow.shape[2:], device=flow.device)
    inside = points.clamp(torch.zeros(3).to(points), (shape - 1).to(points))
    low = inside.detach().floor().long().minimum((shape - 2).clamp_min(0))
    weight = inside - low
    values = torch.zeros(1, dtype=flow.dtype, device=flow.device)
    for corner in range(8):
        step = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        step = step.to(flow.device)
        share = torch.where(step == 1, weight, 1 - weight).prod(-1, keepdim=True)
        i, j, k = (low + step).minimum(shape - 1).unbind(-1)
        batch = torch.arange(len(flow), device=flow.device)[:, None]
        values = values + share * flow[batch, :, i, j, k]
    return values

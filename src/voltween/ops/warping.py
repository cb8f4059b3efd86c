"""Warping images by flows, and composing flows and affine maps (paper III-A, C-C).

All tensors live on one voxel grid. A `flow` is (B, 3, I, J, K) in voxels, component c
along array axis c. A flow that is not a number gives values that are not numbers; an
infinite one gives the border.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.ops import native, stock
from voltween.ops.stock import voxel_positions


def warp(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Image at x + flow(x) for every voxel x, trilinear.

    Points beyond the grid are first moved to the nearest point of the grid
    (paper III-A). Differentiable in image and flow.

    Raises:
        ValueError: If the flow has not 3 components or lies on another grid.
    """
    _check_flow(flow, image)
    return _warp(image, flow, is_composition=False)


def warp_nearest(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Image at the voxel nearest to x + flow(x): for label maps. Not differentiable.

    Where the flow is not a number the value is 0, the background.

    Raises:
        ValueError: If the flow has not 3 components or lies on another grid.
    """
    _check_flow(flow, image)
    shape = torch.tensor(flow.shape[2:], device=flow.device)[None, :, None, None, None]
    nearest = (voxel_positions(flow.shape[2:], like=flow) + flow).round()
    nearest = nearest.clamp(torch.zeros_like(shape), shape - 1)
    i, j, k = nearest.nan_to_num().long().flatten(2).unbind(1)
    place = (i * shape[0, 1] + j) * shape[0, 2] + k
    places = place.view(len(flow), 1, -1).expand(-1, image.shape[1], -1)
    values = image.flatten(2).gather(2, places).view_as(image)
    return values.masked_fill(flow.isnan().any(dim=1, keepdim=True), 0)


def compose(
    outer: Float[Tensor, "b 3 i j k"], inner: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b 3 i j k"]:
    """Flow of x -> outer(inner(x)), in voxels of the shared grid (eq. 3).

    The result is inner(x) + outer(x + inner(x)); outer is read linearly and held
    constant beyond the border, so that warp(warp(I, outer), inner) is
    warp(I, compose(outer, inner)) but for interpolation (eq. 4).

    Raises:
        ValueError: If the two flows are not both flows of one grid.
    """
    _check_flow(inner, outer)
    return _warp(outer, inner, is_composition=True)


def affine_flow(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    shape: tuple[int, ...] | torch.Size,
) -> Float[Tensor, "b 3 i j k"]:
    """Flow A x + b in voxels, with x counted from the center of the grid (eq. 11)."""
    rest = matrix.new_zeros(1).expand(len(matrix), 3, *shape)
    return compose_affine(matrix, translation, rest)


def compose_affine(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    inner: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b 3 i j k"]:
    """Flow of the affine flow A x + b after `inner`: (I + A) inner + A x + b (eq. 19).

    Exact: nothing is interpolated and no domain shrinks.
    """
    numbers = torch.cat([matrix.flatten(1), translation], dim=1)
    numbers, inner = native.same_precision(numbers, inner)
    operations = native if native.is_native(numbers, inner) else stock
    return operations.compose_affine(numbers, inner)


def _warp(image: Tensor, flow: Tensor, *, is_composition: bool) -> Tensor:
    image, flow = native.same_precision(image, flow)
    operations = native if native.is_native(image, flow) else stock
    return operations.warp(image, flow, is_composition)


def _check_flow(flow: Tensor, image: Tensor) -> None:
    if flow.ndim != 5 or flow.shape[1] != 3:
        raise ValueError(
            f"flow must have shape (B, 3, I, J, K), got {tuple(flow.shape)}"
        )
    if image.ndim != 5 or image.shape[2:] != flow.shape[2:]:
        raise ValueError(
            "image must have shape (B, C, I, J, K) on the flow's grid "
            f"{tuple(flow.shape[2:])}, got {tuple(image.shape)}"
        )

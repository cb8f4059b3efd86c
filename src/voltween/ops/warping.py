"""Warping images by flows and composing flows (paper III-A, C-C).

All tensors lie on one voxel grid. A NaN in a flow gives NaN in the result; an infinite
displacement gives the value at the border.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor

from voltween.ops.arguments import (
    allocate_wanted,
    check_gradient,
    check_shape,
    check_volume,
    check_wants,
    lay_out,
    or_none,
    same_precision,
)
from voltween.ops.native import native
from voltween.ops.operation import Kernel, NativeOperation
from voltween.ops.positions import voxel_positions


def warp(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Returns the image at x + flow(x) for every voxel x, trilinear.

    Points beyond the grid are first moved to the nearest point of the grid
    (paper III-A). Differentiable in image and flow.

    Raises:
        ValueError: If the flow does not have 3 components or lies on another grid.
    """
    check_flow_and_image(flow, image)
    image, flow = same_precision(image, flow)
    return WARP(image, flow, False)


def warp_nearest(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Returns the image at the voxel nearest to x + flow(x); meant for label maps.

    Not differentiable. Where the flow is NaN, the value is 0, the background.

    Raises:
        ValueError: If the flow does not have 3 components or lies on another grid.
    """
    check_flow_and_image(flow, image)
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
    """Returns the flow of x -> outer(inner(x)), in voxels of the shared grid (eq. 3).

    The result is inner(x) + outer(x + inner(x)); outer is interpolated linearly and
    held constant beyond the border, so that warp(warp(I, outer), inner) is
    warp(I, compose(outer, inner)) up to interpolation (eq. 4).

    Raises:
        ValueError: If the two flows are not both flows of one grid.
    """
    check_flow_and_image(inner, outer)
    outer, inner = same_precision(outer, inner)
    return WARP(outer, inner, True)


def check_flow_and_image(flow: Tensor, image: Tensor) -> None:
    """Refuses an image that the flow cannot warp.

    Raises:
        ValueError: If the flow does not have 3 components or lies on another grid.
    """
    if flow.ndim != 5 or flow.shape[1] != 3:
        raise ValueError(
            f"flow must have shape (B, 3, I, J, K), got {tuple(flow.shape)}"
        )
    if image.ndim != 5 or image.shape[2:] != flow.shape[2:]:
        raise ValueError(
            "image must have shape (B, C, I, J, K) on the flow's grid "
            f"{tuple(flow.shape[2:])}, got {tuple(image.shape)}"
        )


def _allocate(image: Tensor, flow: Tensor, is_composition: bool) -> Tensor:
    return image.new_empty(image.shape)


def _check(image: Tensor, flow: Tensor, is_composition: bool) -> None:
    check_volume("image", image)
    check_shape("flow", flow, len(image), 3, *image.shape[2:])
    if is_composition:
        check_shape("outer flow", image, *flow.shape)


def _forward(image: Tensor, flow: Tensor, is_composition: bool) -> Tensor:
    _check(image, flow, is_composition)
    image, flow = lay_out(image, flow)
    moved = _allocate(image, flow, is_composition)
    native.warp(image, flow, is_composition, moved, torch.get_num_threads())
    return moved


def _allocate_gradients(
    image: Tensor,
    flow: Tensor,
    gradient: Tensor,
    is_composition: bool,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    return allocate_wanted(image, flow, wants)


def _backward(
    image: Tensor,
    flow: Tensor,
    gradient: Tensor,
    is_composition: bool,
    wants: Sequence[bool],
) -> tuple[Tensor, Tensor]:
    _check(image, flow, is_composition)
    check_gradient(gradient, *image.shape)
    check_wants(wants)
    image, flow, gradient = lay_out(image, flow, gradient)
    gradients = allocate_wanted(image, flow, wants)
    native.warp_backward(
        image,
        flow,
        gradient,
        is_composition,
        *or_none(gradients, wants),
        torch.get_num_threads(),
    )
    return gradients


def _stock(
    image: Float[Tensor, "b c i j k"],
    flow: Float[Tensor, "b 3 i j k"],
    is_composition: bool,
) -> Float[Tensor, "b c i j k"]:
    positions = voxel_positions(flow.shape[2:], like=flow) + flow
    moved = nn_functional.grid_sample(
        image,
        _to_grid_sample_order(positions),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    # grid_sample takes NaN for the border; it must stay visible.
    moved = moved.masked_fill(flow.isnan().any(dim=1, keepdim=True), torch.nan)
    return flow + moved if is_composition else moved


def _to_grid_sample_order(
    positions: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k 3"]:
    # grid_sample expects the last axis first, scaled so that -1 and 1 are the centers
    # of the outermost voxels. An axis of one voxel has one position for any number.
    scale = [2 / max(n - 1, 1) for n in positions.shape[2:]]
    components = [positions[:, axis] * scale[axis] - 1 for axis in (2, 1, 0)]
    return torch.stack(components, dim=-1)


WARP = NativeOperation(
    "warp",
    forward=Kernel(_forward, _allocate),
    backward=Kernel(_backward, _allocate_gradients),
    stock=_stock,
    skips_unwanted=True,
)
"""(image, flow, is_composition): image at x + flow(x), plus flow(x) if composing."""

"""Warping images by flows, and composing flows and affine maps (paper III-A, C-C).

All tensors live on one voxel grid. A `flow` is (B, 3, I, J, K) in voxels, component c
along array axis c. This is the only file that knows `grid_sample` and its axis order.
"""

import torch
import torch.nn.functional as nn_functional
from jaxtyping import Float
from torch import Tensor


def warp(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Image at x + flow(x) for every voxel x, trilinear.

    Points beyond the grid are first moved to the nearest point of the grid
    (paper III-A). Differentiable in image and flow.

    Raises:
        ValueError: If the flow has not 3 components or lies on another grid.
    """
    return _sample(image, flow, "bilinear")


def warp_nearest(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"]
) -> Float[Tensor, "b c i j k"]:
    """Image at the voxel nearest to x + flow(x): for label maps. Not differentiable.

    Raises:
        ValueError: If the flow has not 3 components or lies on another grid.
    """
    return _sample(image, flow, "nearest")


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
    return inner + warp(outer, inner)


def affine_flow(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    shape: tuple[int, ...] | torch.Size,
) -> Float[Tensor, "b 3 i j k"]:
    """Flow A x + b in voxels, with x counted from the centre of the grid (eq. 11)."""
    positions = _centred_positions(shape, like=matrix)
    return _apply(matrix, positions) + translation[:, :, None, None, None]


def compose_affine(
    matrix: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"],
    inner: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b 3 i j k"]:
    """Flow of the affine flow A x + b after `inner`: (I + A) inner + A x + b (eq. 19).

    Exact: nothing is interpolated and no domain shrinks.
    """
    return (
        inner
        + _apply(matrix, _centred_positions(inner.shape[2:], like=inner) + inner)
        + (translation[:, :, None, None, None])
    )


def voxel_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    """Index (i, j, k) of every voxel, with the dtype and device of `like`."""
    axes = [torch.arange(n, dtype=like.dtype, device=like.device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def _sample(
    image: Float[Tensor, "b c i j k"], flow: Float[Tensor, "b 3 i j k"], mode: str
) -> Float[Tensor, "b c i j k"]:
    _check_flow(flow, image)
    positions = voxel_positions(flow.shape[2:], like=flow) + flow
    return nn_functional.grid_sample(
        image,
        _to_grid_sample_order(positions),
        mode=mode,
        padding_mode="border",
        align_corners=True,
    )


def _centred_positions(
    shape: tuple[int, ...] | torch.Size, *, like: Tensor
) -> Float[Tensor, "1 3 i j k"]:
    centre = torch.tensor(
        [(n - 1) / 2 for n in shape], dtype=like.dtype, device=like.device
    )
    return voxel_positions(shape, like=like) - centre[None, :, None, None, None]


def _apply(
    matrix: Float[Tensor, "b 3 3"], vectors: Float[Tensor, "#b 3 i j k"]
) -> Float[Tensor, "b 3 i j k"]:
    return torch.einsum(
        "bcd,bdijk->bcijk", matrix, vectors.expand(len(matrix), -1, -1, -1, -1)
    )


def _to_grid_sample_order(
    positions: Float[Tensor, "b 3 i j k"],
) -> Float[Tensor, "b i j k 3"]:
    # grid_sample wants the last axis first, scaled so that -1 and 1 are the outermost
    # voxel centres; an axis of one voxel has only one position, whatever the number.
    scale = [2 / max(n - 1, 1) for n in positions.shape[2:]]
    components = [positions[:, axis] * scale[axis] - 1 for axis in (2, 1, 0)]
    return torch.stack(components, dim=-1)


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

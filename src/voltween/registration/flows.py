"""Transforms of a pair as flows between two grids of one shape, in voxels.

As flows, the judge of candidate answers moves the scans. Most candidates have a flow on
the network's grids already: it is read at the judge's voxels, without the smooth field
in world space that an answer needs.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops import FlowParts, affine_flow, compose_affine, warp
from voltween.registration.canonical import Grids, voxel_matrix
from voltween.spatial import Affine, Transform

_Matrix = Float[np.ndarray, "4 4"]


def flow_of_transform(transform: Transform, grids: Grids) -> Float[Tensor, "1 3 i j k"]:
    """A transform of worlds as a flow from the fixed to the moving grid, in voxels."""
    fixed = grids.fixed
    to_voxel = np.linalg.inv(grids.moving.affine)
    if isinstance(transform, Affine):
        matrix = to_voxel @ transform.matrix @ fixed.affine
        return affine_flow(*_affine_numbers(matrix, fixed.shape), fixed.shape)
    moved_mm = fixed.voxel_centers_mm() + transform.to_field(fixed).vectors_mm
    voxels = np.moveaxis(moved_mm @ to_voxel[:3, :3].T + to_voxel[:3, 3], -1, 0)
    flow = voxels - np.indices(fixed.shape)
    return torch.from_numpy(flow.astype(np.float32))[None]


def flow_of_parts(
    parts: FlowParts, own: Grids, onto: Grids
) -> Float[Tensor, "1 3 i j k"]:
    """A transform on the grids `own` as a flow from fixed to moving grid of `onto`.

    The dense flow is read linearly, and held constant beyond its grid.
    """
    shape = onto.fixed.shape
    to_own = np.linalg.inv(own.fixed.affine) @ onto.fixed.affine
    affine = voxel_matrix(parts.matrix, parts.translation, own.fixed.shape)
    from_own = np.linalg.inv(onto.moving.affine) @ own.moving.affine @ affine
    numbers = _affine_numbers(from_own @ to_own, shape)
    if not parts.dense_flow.any():
        return affine_flow(*numbers, shape)
    dense = _read(parts.dense_flow.cpu(), to_own, shape)
    to_onto = torch.from_numpy(np.linalg.inv(to_own[:3, :3])).to(dense)
    dense = (to_onto @ dense.flatten(2)).view_as(dense)
    return compose_affine(*numbers, dense)


def _affine_numbers(
    matrix: _Matrix, shape: tuple[int, ...]
) -> tuple[Float[Tensor, "1 3 3"], Float[Tensor, "1 3"]]:
    """A and b of the flow A x + b, with x from the grid's center, of a voxel matrix."""
    linear = matrix[:3, :3] - np.eye(3)
    shift = matrix[:3, 3] + linear @ ((np.array(shape) - 1) / 2)
    return _single(linear), _single(shift)


def _read(
    image: Float[Tensor, "1 3 a b c"], matrix: _Matrix, shape: tuple[int, ...]
) -> Float[Tensor, "1 3 i j k"]:
    """Reads an image linearly at the voxels that a matrix maps a grid's voxels to."""
    common = tuple(max(sizes) for sizes in zip(image.shape[2:], shape, strict=True))
    missing = [c - n for c, n in zip(common, image.shape[2:], strict=True)]
    padding = [n for size in reversed(missing) for n in (0, size)]
    padded = functional.pad(image, padding, mode="replicate")
    flow = affine_flow(*_affine_numbers(matrix, common), common)
    i, j, k = shape
    return warp(padded, flow)[..., :i, :j, :k].contiguous()


def _single(numbers: Float[np.ndarray, "*n"]) -> Float[Tensor, "1 *n"]:
    return torch.from_numpy(numbers[None].astype(np.float32))

"""Places a label volume on the canonical grid in a random pose and shape.

A voxel of the canonical grid holds a block of fine voxels of the volume, the first axis
of every tensor here. Blocks keep their shape: only their places follow a flow, to the
nearest fine voxel.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Integer, UInt8
from torch import Tensor

from voltween.training.label_volumes import LabelVolume, margins


class Placed(NamedTuple):
    """A volume on the voxels of a canonical grid, after a flow."""

    codes: Integer[Tensor, "block i j k"]
    """Index into the labels of the volume."""
    scan: UInt8[Tensor, "block i j k"] | None
    """Intensities of the scan, 0 to 255, if the volume has one."""


def place(
    volume: LabelVolume,
    shape: Sequence[int],
    subdivision: int,
    flow: Float[Tensor, "1 3 i j k"] | None,
) -> Placed:
    """Reads the block of fine voxels of a volume for every voxel of a grid.

    Args:
        volume: The volume, with its margin.
        shape: Shape of the canonical grid.
        subdivision: Fine voxels per canonical voxel and axis.
        flow: Flow in voxels of the canonical grid; at rest if None. Beyond the volume,
            its border is repeated.
    """
    starts = _block_starts(shape, subdivision, flow)
    stored = volume.codes.shape
    places = _places(starts, subdivision, stored)
    codes = volume.codes.flatten().index_select(0, places.flatten())
    if volume.scan is None:
        return Placed(codes.view(places.shape), None)
    scan = volume.scan.flatten().index_select(0, places.flatten())
    return Placed(codes.view(places.shape), scan.view(places.shape))


def look_up(table: np.ndarray, codes: Integer[Tensor, "*shape"]) -> Tensor:
    """The entries of a table at codes; fractions in single precision."""
    values = table.astype(np.float32) if table.dtype.kind == "f" else table
    places = codes.flatten().to(torch.int32)
    return torch.from_numpy(values).index_select(0, places).view(codes.shape)


def share_of(inside: Tensor) -> Float[Tensor, "i j k"]:
    """Share of every block that is true."""
    # As bytes, which a block of at most 64 voxels does not exceed.
    counts = inside.view(torch.uint8).sum(0, dtype=torch.uint8)
    return counts.float().div_(len(inside))


def _block_starts(
    shape: Sequence[int], subdivision: int, flow: Float[Tensor, "1 3 i j k"] | None
) -> list[Float[Tensor, "i j k"]]:
    """First fine voxel of every block along each axis, before it is rounded."""
    starts = []
    for axis, (side, margin) in enumerate(
        zip(shape, margins(shape, subdivision), strict=True)
    ):
        along = [1, 1, 1]
        along[axis] = side
        rest = torch.arange(side, dtype=torch.float32).view(along)
        moved = rest.expand(*shape) if flow is None else rest + flow[0, axis]
        starts.append(moved * subdivision + margin)
    return starts


def _places(
    starts: Sequence[Float[Tensor, "i j k"]], subdivision: int, stored: Sequence[int]
) -> Int[Tensor, "block i j k"]:
    """Positions in the flattened volume of the fine voxels of every block."""
    kind = torch.int32 if math.prod(stored) < 2**31 else torch.int64
    first: Tensor = torch.zeros(1, dtype=kind)
    for start, side in zip(starts, stored, strict=True):
        nearest = start.round().clamp_(0, side - subdivision).to(kind)
        first = first * side + nearest
    _, j, k = stored
    block = np.indices((subdivision,) * 3).reshape(3, -1)
    steps = torch.from_numpy((block[0] * j + block[1]) * k + block[2]).to(kind)
    return first + steps.view(-1, 1, 1, 1)

"""A pair of scans as tensors on one voxel grid, with all that guides a refinement."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class SideTensors:
    """The fixed or the moving side of a pair, on its grid."""

    image: Float[Tensor, "1 c i j k"]
    """Intensities from 0 to 1, one channel per image."""
    mask: Float[Tensor, "1 1 i j k"] | None = None
    """Share of each voxel that counts, 0 to 1; without a mask all voxels count."""
    labels: Int[Tensor, "1 1 i j k"] | None = None
    """Structures, with the same numbers on both sides."""
    points: Float[Tensor, "1 n 3"] | None = None
    """Landmarks in voxels, in the same order on both sides."""
    features: Float[Tensor, "1 n i j k"] | None = None
    """Learned features, where the refinement compares them."""

    def shrink(self, factor: int) -> "SideTensors":
        """Returns the same side on voxels `factor` times as wide.

        The sides of the grid must be multiples of the factor.
        """
        return SideTensors(
            image=_average(self.image, factor),
            mask=None if self.mask is None else _average(self.mask, factor),
            labels=None if self.labels is None else _thin_out(self.labels, factor),
            points=None if self.points is None else _count_blocks(self.points, factor),
            features=(
                None if self.features is None else _average(self.features, factor)
            ),
        )


@dataclass(frozen=True, eq=False)
class PairTensors:
    """Both sides of a pair, on grids of one shape."""

    fixed: SideTensors
    moving: SideTensors
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Sides of a voxel of either grid, in mm. In these lengths, rigid is rigid."""

    @property
    def shape(self) -> torch.Size:
        """Voxels of the grid along each axis."""
        return self.fixed.image.shape[2:]

    @property
    def shared_labels(self) -> list[int]:
        """Numbers of the structures that both sides have, ascending, without 0."""
        if self.fixed.labels is None or self.moving.labels is None:
            return []
        fixed = set(self.fixed.labels.unique().tolist())
        moving = set(self.moving.labels.unique().tolist())
        return sorted((fixed & moving) - {0})

    def shrink(self, factor: int) -> "PairTensors":
        """Returns the same pair on voxels `factor` times as wide.

        The sides of the grid must be multiples of the factor.
        """
        if factor == 1:
            return self
        i, j, k = (factor * side for side in self.spacing)
        fixed, moving = self.fixed.shrink(factor), self.moving.shrink(factor)
        return PairTensors(fixed, moving, spacing=(i, j, k))


def _average(
    image: Float[Tensor, "1 c i j k"], factor: int
) -> Float[Tensor, "1 c i2 j2 k2"]:
    return functional.avg_pool3d(image, factor)


def _thin_out(
    labels: Int[Tensor, "1 1 i j k"], factor: int
) -> Int[Tensor, "1 1 i2 j2 k2"]:
    """Keeps one voxel of each block: numbers of structures cannot be averaged."""
    middle = slice(factor // 2, None, factor)
    return labels[:, :, middle, middle, middle]


def _count_blocks(
    points: Float[Tensor, "1 n 3"], factor: int
) -> Float[Tensor, "1 n 3"]:
    """Positions counted in blocks, with 0 at the center of the first block."""
    return (points - (factor - 1) / 2) / factor

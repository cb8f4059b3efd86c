"""What a refinement goes by: two images and what else is known, on one voxel grid."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


class Evidence(NamedTuple):
    """A pair on the network's grid; intensities from 0 to 1, a channel a modality."""

    fixed: Float[Tensor, "1 c i j k"]
    moving: Float[Tensor, "1 c i j k"]
    fixed_mask: Float[Tensor, "1 1 i j k"] | None = None
    """How much a voxel counts, 0 to 1; all count alike without it."""
    moving_mask: Float[Tensor, "1 1 i j k"] | None = None
    fixed_labels: Int[Tensor, "1 1 i j k"] | None = None
    """Structures to lay on one another, with the same numbers in both."""
    moving_labels: Int[Tensor, "1 1 i j k"] | None = None
    fixed_points: Float[Tensor, "1 n 3"] | None = None
    """Landmarks, in voxels, with those of the moving image in the same order."""
    moving_points: Float[Tensor, "1 n 3"] | None = None

    @property
    def shape(self) -> torch.Size:
        """Voxels of the grid."""
        return self.fixed.shape[2:]

    @property
    def labels(self) -> list[int]:
        """Structures that both images have."""
        if self.fixed_labels is None or self.moving_labels is None:
            return []
        present = [
            set(m.unique().tolist()) for m in (self.fixed_labels, self.moving_labels)
        ]
        return sorted((present[0] & present[1]) - {0})

    def shrunk(self, factor: int) -> "Evidence":
        """The same on voxels `factor` times as wide, of which sides are multiples."""
        if factor == 1:
            return self
        return Evidence(
            *(None if part is None else _averaged(part, factor) for part in self[:4]),  # type: ignore[arg-type]
            *(None if part is None else _thinned(part, factor) for part in self[4:6]),
            *(None if part is None else _seen(part, factor) for part in self[6:]),
        )


def _averaged(
    image: Float[Tensor, "1 c i j k"], factor: int
) -> Float[Tensor, "1 c i2 j2 k2"]:
    return functional.avg_pool3d(image, factor)


def _thinned(
    labels: Int[Tensor, "1 1 i j k"], factor: int
) -> Int[Tensor, "1 1 i2 j2 k2"]:
    """One voxel for a block: numbers of structures cannot be averaged."""
    middle = slice(factor // 2, None, factor)
    return labels[:, :, middle, middle, middle]


def _seen(points: Float[Tensor, "1 n 3"], factor: int) -> Float[Tensor, "1 n 3"]:
    """Positions as counted in blocks, the middle of the first block being 0."""
    return (points - (factor - 1) / 2) / factor

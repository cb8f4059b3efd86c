"""A pair as a network and a refinement see it: tensors on the canonical grids."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voltween.errors import InputError
from voltween.preprocessing import Preprocessing, looks_like_ct
from voltween.refinement import WHOLE, Evidence, Refinement
from voltween.registration.canonical import Grids
from voltween.registration.guidance import Guidance
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    Points,
    resample_smoothly,
    spacing_and_shape,
)

_FEWEST_VOXELS = 8  # along the longest side
_MOST_VOXELS = 200_000_000  # for which some 100 GB are needed


@dataclass(frozen=True, eq=False)
class PairView:
    """Two scans, the rule by which each is seen, and the grids on which they are."""

    fixed: Image
    moving: Image
    rules: tuple[Preprocessing, Preprocessing]
    """Of the fixed and of the moving scan."""
    grids: Grids
    device: torch.device

    @classmethod
    def of(
        cls,
        fixed: Image,
        moving: Image,
        rules: tuple[Preprocessing, Preprocessing],
        device: torch.device,
    ) -> "PairView":
        """The scans on the grids that the rules put on them."""
        grids = Grids(rules[0].canonical_grid(fixed), rules[1].canonical_grid(moving))
        return cls(fixed, moving, rules, grids, device)

    def for_refinement(self, refinement: Refinement) -> "PairView":
        """The same on the voxels that a refinement asks for, as many as it needs."""
        spacing_mm = self.grids.fixed.spacing_mm
        if refinement.spacing_mm == "own":
            spacing_mm, _ = spacing_and_shape(self.fixed.grid)
        elif refinement.spacing_mm is not None:
            spacing_mm = np.full(3, refinement.spacing_mm)
        is_same = np.allclose(spacing_mm, self.grids.fixed.spacing_mm)
        if is_same and all(n % refinement.widest == 0 for n in self.grids.fixed.shape):
            return self
        grids = self.grids.with_voxels(spacing_mm, refinement.widest)
        _check_size(grids.fixed)
        return replace(self, grids=grids)

    def images(self) -> tuple[Float[Tensor, "1 1 i j k"], Float[Tensor, "1 1 i j k"]]:
        """Both scans on their grids, intensities from 0 to 1.

        Raises:
            InputError: If one is constant, or a label map.
        """
        return self._seen("fixed", self.fixed), self._seen("moving", self.moving)

    def evidence(self, guidance: Guidance) -> Evidence:
        """All that a refinement goes by, on these grids.

        Raises:
            InputError: If one of the images is constant, or a label map, or if masks,
                structures or landmarks are somewhere else than the scan.
        """
        given = guidance
        return Evidence(
            self._channels("fixed", self.fixed, given.fixed_channels),
            self._channels("moving", self.moving, given.moving_channels),
            self._mask("fixed", given.fixed_mask),
            self._mask("moving", given.moving_mask),
            self._labels("fixed", given.fixed_labels),
            self._labels("moving", given.moving_labels),
            self._points("fixed", given.fixed_points),
            self._points("moving", given.moving_points),
        )

    def _channels(
        self, side: str, image: Image, others: tuple[Image, ...]
    ) -> Float[Tensor, "1 c i j k"]:
        seen = [self._seen(side, image)]
        for number, other in enumerate(others, 1):
            seen.append(self._seen(side, other, f"{side} channel {number}:"))
        return torch.cat(seen, dim=1)

    def _seen(
        self, side: str, image: Image, name: str | None = None
    ) -> Float[Tensor, "1 1 i j k"]:
        rule, grid = self._side(side)
        if image not in (self.fixed, self.moving) and not looks_like_ct(image):
            rule = replace(rule, hounsfield_window=None)
        try:
            return self._tensor(rule.normalize(image, onto=grid).data)
        except InputError as error:
            raise InputError(f"{name or side} {error}") from error

    def _mask(
        self, side: str, mask: LabelMap | None
    ) -> Float[Tensor, "1 1 i j k"] | None:
        if mask is None:
            return None
        _, grid = self._side(side)
        shares = resample_smoothly(Image(mask.data > 0, mask.grid), onto=grid).data
        if not (shares > WHOLE).any():
            raise InputError(
                f"{side} mask must be > 0 in whole voxels where the scan is looked at, "
                "got none: is it in the same place as the scan?"
            )
        return self._tensor(shares)

    def _labels(
        self, side: str, labels: LabelMap | None
    ) -> Int[Tensor, "1 1 i j k"] | None:
        if labels is None:
            return None
        _, grid = self._side(side)
        data = Affine.identity().resample(labels, onto=grid).data
        if not data.any():
            raise InputError(
                f"{side} labels must be > 0 where the scan is looked at, got none: are "
                "they in the same place as the scan?"
            )
        # Files often have unsigned numbers, with which PyTorch compares nothing.
        return self._tensor(data.astype(np.int64))

    def _points(
        self, side: str, points: Points | None
    ) -> Float[Tensor, "1 n 3"] | None:
        if points is None:
            return None
        _, grid = self._side(side)
        voxels = grid.world_to_voxel(points.mm)
        is_outside = (voxels < -0.5) | (voxels > np.array(grid.shape) - 0.5)
        if is_outside.any(axis=1).all():
            raise InputError(
                f"{side} landmarks must lie where the scan is looked at, got none of "
                f"{len(voxels)} that does: are they in RAS+ mm, and of this scan?"
            )
        return torch.from_numpy(voxels.astype(np.float32))[None].to(self.device)

    def _side(self, side: str) -> tuple[Preprocessing, Grid]:
        index = ("fixed", "moving").index(side)
        return self.rules[index], self.grids[index]

    def _tensor(self, data: np.ndarray) -> Tensor:
        return torch.from_numpy(data.copy())[None, None].to(self.device)


def _check_size(grid: Grid) -> None:
    """Refuse what would fill the memory, and what shows nothing."""
    is_too_fine = math.prod(grid.shape) > _MOST_VOXELS
    if is_too_fine or max(grid.shape) < _FEWEST_VOXELS:
        size = " x ".join(map(str, grid.shape))
        raise InputError(
            f"spacing_mm of a refinement must give at least {_FEWEST_VOXELS} voxels "
            f"along a side and at most {_MOST_VOXELS:,} in all, got {size}: give "
            f"{'wider' if is_too_fine else 'narrower'} ones"
        )

"""A pair as a network and a refinement see it: tensors on the canonical grids."""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from voltween.errors import InputError
from voltween.preprocessing import Preprocessing, is_covered, looks_like_ct
from voltween.refinement import (
    LEAST_UNMASKED_SHARE,
    PairTensors,
    Refinement,
    SideTensors,
)
from voltween.registration.canonical import Grids
from voltween.registration.guidance import Guidance, Side
from voltween.registration.scan_features import ScanFeatures
from voltween.spatial import (
    Affine,
    Grid,
    Image,
    LabelMap,
    Points,
    resample_smoothly,
    spacing_and_shape,
)
from voltween.storage import naming

_FEWEST_VOXELS = 8  # along the longest side
_MOST_VOXELS = 200_000_000  # which need some 100 GB
_IN_PLACE = "is it in the same place as the scan?"


@dataclass(frozen=True, eq=False)
class SideView:
    """A scan, the rule by which it is seen, and the grid on which it is seen."""

    scan: Image
    rule: Preprocessing
    grid: Grid
    device: torch.device
    features: ScanFeatures | None = None
    """The learned features of the scan, where a refinement compares them."""

    @classmethod
    def of(cls, scan: Image, rule: Preprocessing, device: torch.device) -> "SideView":
        """The scan on the grid that the rule places on it."""
        return cls(scan, rule, rule.canonical_grid(scan), device)

    @cached_property
    def image(self) -> Float[Tensor, "1 1 i j k"]:
        """The scan on the grid, intensities from 0 to 1.

        Raises:
            InputError: If the scan is constant.
        """
        return self._to_tensor(self.rule.normalize(self.scan, onto=self.grid).data)

    def tensors(self, guidance: Side) -> SideTensors:
        """The scan and its guidance on the grid.

        Beyond the scan, images have the brightness of its border: where a scan ends is
        no anatomy, and would be aligned with the end of the other.

        Raises:
            InputError: If an image is constant, or if the mask, the
                structures or the landmarks do not lie on the grid.
        """
        return SideTensors(
            image=self._channels(guidance.channels),
            mask=None if guidance.mask is None else self._mask(guidance.mask),
            labels=None if guidance.labels is None else self._labels(guidance.labels),
            points=None if guidance.points is None else self._points(guidance.points),
            features=None if self.features is None else self._features(self.features),
        )

    def _channels(self, further: tuple[Image, ...]) -> Float[Tensor, "1 c i j k"]:
        bordered = self._bordered
        channels = [bordered.image]
        for number, image in enumerate(further, 1):
            rule = bordered.rule
            if not looks_like_ct(image):
                rule = replace(rule, hounsfield_window=None)
            with naming(f"channel {number}"):
                normalized = rule.normalize(image, onto=self.grid)
            channels.append(self._to_tensor(normalized.data))
        return torch.cat(channels, dim=1)

    @property
    def _bordered(self) -> "SideView":
        """The view with the scan's border continued beyond it."""
        if is_covered(self.grid, by=self.scan.grid):
            return self
        rule = replace(self.rule, surroundings="border")
        return self if rule == self.rule else replace(self, rule=rule)

    def _mask(self, mask: LabelMap) -> Float[Tensor, "1 1 i j k"]:
        inside = Image(mask.data > 0, mask.grid)
        shares = resample_smoothly(inside, onto=self.grid).data
        if not (shares > LEAST_UNMASKED_SHARE).any():
            raise InputError(
                about="mask",
                expected="whole voxels > 0 within the registered region",
                got="none",
                advice=_IN_PLACE,
            )
        return self._to_tensor(shares)

    def _labels(self, labels: LabelMap) -> Int[Tensor, "1 1 i j k"]:
        data = Affine.identity().resample(labels, onto=self.grid).data
        if not data.any():
            raise InputError(
                about="labels",
                expected="voxels > 0 within the registered region",
                got="none",
                advice=_IN_PLACE,
            )
        # Files often have unsigned types, which PyTorch cannot compare.
        return self._to_tensor(data.astype(np.int64))

    def _points(self, points: Points) -> Float[Tensor, "1 n 3"]:
        voxels = self.grid.world_to_voxel(points.mm)
        is_outside = (voxels < -0.5) | (voxels > np.array(self.grid.shape) - 0.5)
        if is_outside.any(axis=1).all():
            raise InputError(
                about="landmarks",
                expected="some within the registered region",
                got=f"all {len(voxels)} outside",
                advice="are they in RAS+ mm, and of this scan?",
            )
        return torch.from_numpy(voxels.astype(np.float32))[None].to(self.device)

    def _features(self, features: ScanFeatures) -> Float[Tensor, "1 n i j k"]:
        return features.on(self.grid).to(self.device)

    def _to_tensor(self, data: np.ndarray) -> Tensor:
        return torch.from_numpy(data.copy())[None, None].to(self.device)


@dataclass(frozen=True, eq=False)
class PairView:
    """Both scans of a pair as they are seen, on grids of one shape."""

    fixed: SideView
    moving: SideView

    @property
    def grids(self) -> Grids:
        """The grids of both scans."""
        return Grids(self.fixed.grid, self.moving.grid)

    def with_moving_at(self, fixed_to_moving: Affine) -> "PairView":
        """The pair with the moving grid where a rigid transform maps the fixed grid."""
        grid = Grid(
            self.fixed.grid.shape, fixed_to_moving.matrix @ self.fixed.grid.affine
        )
        return PairView(self.fixed, replace(self.moving, grid=grid))

    def with_fixed_at(self, fixed_to_moving: Affine) -> "PairView":
        """The pair with the fixed grid that a rigid transform maps to the moving."""
        to_fixed = fixed_to_moving.inverse().matrix
        grid = Grid(self.moving.grid.shape, to_fixed @ self.moving.grid.affine)
        return PairView(replace(self.fixed, grid=grid), self.moving)

    def with_features(
        self, fixed: ScanFeatures | None = None, moving: ScanFeatures | None = None
    ) -> "PairView":
        """The pair with the features of its scans, or without any."""
        return PairView(
            replace(self.fixed, features=fixed), replace(self.moving, features=moving)
        )

    def for_refinement(self, refinement: Refinement) -> "PairView":
        """The pair on the voxels and with the multiples that a refinement needs.

        Returns the same object if it has these already.

        Raises:
            InputError: If the grid would have too few or too many voxels.
        """
        grid = self.fixed.grid
        spacing_mm = grid.spacing_mm
        if refinement.spacing_mm == "own":
            spacing_mm, _ = spacing_and_shape(self.fixed.scan.grid)
        elif refinement.spacing_mm is not None:
            spacing_mm = np.full(3, refinement.spacing_mm)
        multiple = refinement.largest_shrink
        is_same = np.allclose(spacing_mm, grid.spacing_mm)
        if is_same and all(n % multiple == 0 for n in grid.shape):
            return self
        grids = self.grids.with_voxels(spacing_mm, multiple)
        _check_size(grids.fixed)
        return PairView(
            replace(self.fixed, grid=grids.fixed),
            replace(self.moving, grid=grids.moving),
        )

    def images(self) -> tuple[Float[Tensor, "1 1 i j k"], Float[Tensor, "1 1 i j k"]]:
        """Both scans on their grids, intensities from 0 to 1.

        Raises:
            InputError: If a scan is constant.
        """
        with naming("fixed"):
            fixed = self.fixed.image
        with naming("moving"):
            moving = self.moving.image
        return fixed, moving

    def tensors(self, guidance: Guidance) -> PairTensors:
        """Both scans and their guidance on the grids.

        Raises:
            InputError: If an image is constant, or if masks, structures
                or landmarks do not lie on the grid of their side.
        """
        with naming("fixed"):
            fixed = self.fixed.tensors(guidance.fixed)
        with naming("moving"):
            moving = self.moving.tensors(guidance.moving)
        i, j, k = self.fixed.grid.spacing_mm.tolist()
        return PairTensors(fixed, moving, spacing=(i, j, k))


def _check_size(grid: Grid) -> None:
    """Checks that a grid fits into memory and is not too coarse."""
    is_too_fine = math.prod(grid.shape) > _MOST_VOXELS
    if is_too_fine or max(grid.shape) < _FEWEST_VOXELS:
        raise InputError(
            about="spacing_mm of the refinement",
            expected=f"at least {_FEWEST_VOXELS} voxels along the longest side and at "
            f"most {_MOST_VOXELS:,} in all",
            got=" x ".join(map(str, grid.shape)),
            advice=f"give {'wider' if is_too_fine else 'narrower'} voxels",
        )

"""The learned features of a scan, on whatever grid a refinement asks for them."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween.models import FeatureVolume
from voltween.spatial import Grid, Image, Transform


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """The features of a scan in a template's world, and the way from the scan there."""

    volume: FeatureVolume
    scan_to_template: Transform

    def on(self, grid: Grid) -> Float[Tensor, "1 groups i j k"]:
        """The features on a grid in the scan's world; beyond their own, background."""
        way = self.scan_to_template.to_field(grid)
        shares = self.volume.shares
        result = np.empty((len(shares), *grid.shape), np.float32)
        for number, share in enumerate(shares):
            image = Image(share, self.volume.grid)
            beyond = 1.0 if number == 0 else 0.0
            result[number] = way.resample(image, onto=grid, fill=beyond).data
        return torch.from_numpy(result)[None]

"""The learned features of a scan, on whatever grid a refinement asks for them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween.models import FeatureModel, FeatureVolume
from voltween.spatial import Affine, Grid, Image


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """A scan and the network that tells its features, which runs once."""

    scan: Image
    model: FeatureModel

    @cached_property
    def volume(self) -> FeatureVolume:
        """The features on the network's own grid around the scan."""
        return self.model.of(self.scan)

    def on(self, grid: Grid) -> Float[Tensor, "1 groups i j k"]:
        """The features on another grid; beyond their own, all is background."""
        shares = self.volume.shares
        result = np.empty((len(shares), *grid.shape), np.float32)
        for number, share in enumerate(shares):
            image = Image(share, self.volume.grid)
            beyond = 1.0 if number == 0 else 0.0
            here = Affine.identity().resample(image, onto=grid, fill=beyond)
            result[number] = here.data
        return torch.from_numpy(result)[None]

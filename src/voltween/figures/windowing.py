"""The window of intensities that is shown from black to white."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voltween.spatial import Image

_PERCENTILES = (0.5, 99.5)
_SAMPLE = 50_000  # voxels, for the percentiles
_TINY = float(np.finfo(np.float32).tiny)


class Window(NamedTuple):
    """The intensities that are shown as black and as white."""

    low: float
    high: float

    @classmethod
    def of(cls, image: Image) -> "Window":
        """The window that leaves out half a percent of the voxels at either end.

        If no two intensities are left, it is that of all voxels.
        """
        step = max(1, image.data.size // _SAMPLE)
        low, high = np.percentile(image.data.reshape(-1)[::step], _PERCENTILES)
        if high <= low:  # little but background
            low, high = image.data.min(), image.data.max()
        return cls(float(low), float(high))

    def gray(self, data: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The intensities as gray from 0 to 1, those beyond the window at its ends."""
        scale = max(self.high - self.low, _TINY)
        return ((data - np.float64(self.low)) / scale).clip(0, 1)

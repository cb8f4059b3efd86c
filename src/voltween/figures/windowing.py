"""The window of intensities that is shown from black to white."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from voltween.spatial import Image

_PERCENTILES = (0.5, 99.5)
_SAMPLE = 50_000  # voxels, for the percentiles
_NARROWEST = 1e-30  # range of intensities


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
        while math.gcd(step, image.data.size) > 1:  # else it could stay in one plane
            step += 1
        low, high = np.percentile(image.data.reshape(-1)[::step], _PERCENTILES)
        if high <= low:  # little but background
            low, high = image.data.min(), image.data.max()
        return cls(float(low), float(high))

    def gray(self, data: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The intensities as gray from 0 to 1, those beyond the window at its ends."""
        scale = max(self.high - self.low, _NARROWEST)
        return ((data - np.float64(self.low)) / scale).clip(0, 1)

    def levels(self, data: Float[np.ndarray, "*n"]) -> UInt8[np.ndarray, "*n"]:
        """The same as bytes, 0 to 255, for volumes: without a copy in double precision.

        What no single-precision number can hold is at the ends, too.
        """
        scale = np.float32(255 / max(self.high - self.low, _NARROWEST))
        with np.errstate(over="ignore"):
            shown = (data - np.float32(self.low)) * scale
        return np.rint(shown.clip(0, 255)).astype(np.uint8)

"""Recognizes scans that were cut out of larger ones, such as stripped brains."""

from typing import NamedTuple

import numpy as np

from voltween.preprocessing.foreground import find_foreground
from voltween.preprocessing.hounsfield import looks_like_ct
from voltween.spatial import Image, LabelMap

_SAMPLED_VOXELS = 200_000
_MOST_SHOWN = 0.7  # share of the voxels; a brain fills half of the box around it
_LEAST_BRIGHT = 0.95  # of what is shown; a head shows bone, air and noise as well


class CutOut(NamedTuple):
    """The content of a scan that was cut out: all voxels but those of one value."""

    background: float
    """The value of all voxels outside."""
    volume_mm3: float
    """Volume of what is shown."""

    def mask(self, image: Image) -> LabelMap:
        """Returns 1 where the scan shows something, on its own grid."""
        shown = image.data != self.background
        return LabelMap(shown.astype(np.uint8), image.grid)


def find_cut_out(image: Image) -> CutOut | None:
    """Finds what was cut out of a scan; None if the scan was not cut.

    A cut scan has one value in all corners and in a third of its voxels at least, and
    nearly all else is foreground: where only the air around a head was set to 0, bone
    and air within it are dark.
    """
    data = image.data
    corners = data[np.ix_(*([0, -1] for _ in range(3)))]
    background = corners[0, 0, 0]
    if (corners != background).any():
        return None
    step = max(1, round((data.size / _SAMPLED_VOXELS) ** (1 / 3)))
    sample = data[::step, ::step, ::step]
    is_shown = sample != background
    share = float(is_shown.mean())
    if not 0 < share < _MOST_SHOWN:
        return None
    threshold = find_foreground(image, is_ct=looks_like_ct(image)).threshold
    if (sample > threshold).sum() < _LEAST_BRIGHT * is_shown.sum():
        return None
    volume_mm3 = share * data.size * float(image.grid.spacing_mm.prod())
    return CutOut(float(background), volume_mm3)

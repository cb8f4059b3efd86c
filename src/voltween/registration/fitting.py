"""How a pair is seen where no model says it: a grid and intensities fitted to both."""

from dataclasses import replace

import numpy as np

from voltween.errors import InputError
from voltween.preprocessing import (
    Preprocessing,
    check_has_contrast,
    find_foreground,
    looks_like_ct,
)
from voltween.registration.canonical import FEWEST_BLOCKS
from voltween.spatial import Image

_MARGIN = 1.1  # of the foreground, that nothing is cut where it is moved to the middle
_MOST_VOXELS = 1.0e6
_CT_WINDOW = (-300.0, 700.0)  # air and fat dark, soft tissue and bone told apart


def fit_to_pair(
    fixed: Image, moving: Image, *, multiple: int
) -> tuple[Preprocessing, Preprocessing]:
    """How each of the scans is seen: grids of one shape, around what is bright in them.

    Cubic voxels as fine as the finer scan's finest side, or wider where there would be
    more than a million; sides of that `multiple`.

    Raises:
        InputError: If a scan is constant, or a label map.
    """
    seen = []
    for side, image in (("fixed", fixed), ("moving", moving)):
        try:
            check_has_contrast(image)
        except InputError as error:
            raise InputError(f"{side} {error}") from error
        seen.append((image, looks_like_ct(image)))
    extent_mm = _MARGIN * np.max(
        [find_foreground(image, is_ct=is_ct).extent_mm for image, is_ct in seen], axis=0
    )
    finest_mm = min(image.grid.spacing_mm.min() for image, _ in seen)
    spacing_mm = max(float(finest_mm), float(np.cbrt(extent_mm.prod() / _MOST_VOXELS)))
    blocks = np.ceil(extent_mm / spacing_mm / multiple - 1e-6).clip(FEWEST_BLOCKS)
    i, j, k = (int(n) * multiple for n in blocks)
    plain = Preprocessing(
        (i, j, k), (spacing_mm,) * 3, placement="foreground", surroundings="border"
    )
    window = replace(plain, hounsfield_window=_CT_WINDOW)
    one, other = (window if is_ct else plain for _, is_ct in seen)
    return one, other

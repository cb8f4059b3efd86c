"""Whether a tool's transform, read as ours, moves the image as the tool itself does."""

import numpy as np

from voltween.errors import InputError
from voltween.spatial import Image, LabelMap, Transform

LEAST_CORRELATION = 0.999


def own_image_correlation(
    transform: Transform, fixed: Image, moving: Image, own: Image
) -> float:
    """Correlation of our moved image with the tool's `own`, where moving reaches.

    1 if either is constant there: nothing can then be told.
    """
    moved = transform.resample(moving, onto=fixed.grid).data
    everywhere = LabelMap(np.ones(moving.grid.shape, np.uint8), moving.grid)
    inside = transform.resample(everywhere, onto=fixed.grid).data > 0
    ours, theirs = moved[inside], own.data[inside]
    if ours.size == 0 or np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 1.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def checked(
    tool: str, transform: Transform, fixed: Image, moving: Image, own: Image
) -> Transform:
    """The transform, if it moves the image as the tool itself did.

    Raises:
        InputError: If the two moved images correlate by less than 0.999.
    """
    correlation = own_image_correlation(transform, fixed, moving, own)
    if correlation < LEAST_CORRELATION:
        raise InputError(
            f"{tool}: its moved image and ours must correlate by {LEAST_CORRELATION}, "
            f"got {correlation:.5f}: please report this with the two scans' headers"
        )
    return transform

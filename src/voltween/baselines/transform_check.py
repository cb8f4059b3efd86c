"""Checks that a tool's transform, as read by Voltween, moves images as the tool did."""

import numpy as np

from voltween.errors import InputError
from voltween.spatial import Image, LabelMap, Transform

LEAST_CORRELATION = 0.999


def moved_image_correlation(
    transform: Transform, fixed: Image, moving: Image, *, tool_moved: Image
) -> float:
    """Correlates our moved image with the tool's, inside the moving field of view.

    The outermost voxels do not count: between their centers and the edge of the field
    of view, some tools continue the image and others do not. Returns 1 if either image
    is constant inside, because then nothing can be compared.
    """
    moved = transform.resample(moving, onto=fixed.grid).data
    inner = tuple(slice(1, -1) if n > 2 else slice(None) for n in moving.grid.shape)
    voxels = np.zeros(moving.grid.shape, np.uint8)
    voxels[inner] = 1
    field_of_view = LabelMap(voxels, moving.grid)
    inside = transform.resample(field_of_view, onto=fixed.grid).data > 0
    ours, theirs = moved[inside], tool_moved.data[inside]
    if ours.size == 0 or np.ptp(ours) == 0 or np.ptp(theirs) == 0:
        return 1.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def check_transform(
    transform: Transform, fixed: Image, moving: Image, *, tool_moved: Image
) -> None:
    """Checks that the transform moves the image as the tool itself did.

    Raises:
        InputError: If the two moved images correlate by less than 0.999.
    """
    correlation = moved_image_correlation(
        transform, fixed, moving, tool_moved=tool_moved
    )
    if correlation < LEAST_CORRELATION:
        raise InputError(
            expected="a transform that reproduces the tool's moved image, with a "
            f"correlation of at least {LEAST_CORRELATION}",
            got=f"{correlation:.5f}",
            advice="please report this with the headers of the two scans",
        )

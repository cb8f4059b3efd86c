"""The check of a transform against the tool's own moved image."""

import numpy as np
import pytest

from support.cohorts import blob
from support.scans import some_affine
from voltween.baselines.transform_check import check_transform, moved_image_correlation
from voltween.errors import InputError
from voltween.spatial import Affine, Image


def test_a_transform_that_is_not_the_tools_is_refused():
    (fixed, _), (moving, _) = blob(0), blob(1)
    true = Affine(moving.grid.affine @ np.linalg.inv(fixed.grid.affine))
    moved = true.resample(moving, onto=fixed.grid)
    correlation = moved_image_correlation(true, fixed, moving, tool_moved=moved)
    assert correlation == pytest.approx(1)
    check_transform(true, fixed, moving, tool_moved=moved)
    shift = np.eye(4)
    shift[0, 3] = 2  # mm: one voxel
    with pytest.raises(InputError, match=r"correlation of at least 0\.999, got 0\.9"):
        check_transform(Affine(shift) @ true, fixed, moving, tool_moved=moved)


def test_constant_images_cannot_be_compared():
    grid = blob(0)[0].grid
    constant = Image(np.ones(grid.shape), grid)
    correlation = moved_image_correlation(
        some_affine(), constant, constant, tool_moved=constant
    )
    assert correlation == 1

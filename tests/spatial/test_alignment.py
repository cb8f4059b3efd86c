"""Initial alignment by the centers and axes of two grids."""

import numpy as np
import pytest

from support.scans import FIXED, MOVING
from voltween.spatial import align_centers


def test_center_alignment_lays_centers_and_axes_on_each_other():
    before = align_centers(FIXED.grid, MOVING.grid)
    mapped = before.map_positions(FIXED.grid.center_mm[None])[0]
    np.testing.assert_allclose(mapped, MOVING.grid.center_mm)
    assert np.linalg.det(before.matrix[:3, :3]) == pytest.approx(1)

"""Linear interpolation, against SciPy."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from voltween.spatial.interpolation import read_linearly


@pytest.mark.parametrize("shape", [(7, 6, 5), (1, 6, 5), (7, 1, 1)])
def test_reads_as_scipy_does_within_and_beyond_the_array(shape):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((3, *shape))
    positions = rng.uniform(-2, 9, (3, 500))
    expected = [map_coordinates(c, positions, order=1, mode="nearest") for c in values]
    np.testing.assert_allclose(read_linearly(values, positions), expected, atol=1e-12)


def test_reads_the_voxels_themselves_at_whole_positions():
    values = np.random.default_rng(0).standard_normal((2, 4, 5, 6))
    positions = np.indices((4, 5, 6), dtype=float).reshape(3, -1)
    read = read_linearly(values, positions)
    np.testing.assert_allclose(read, values.reshape(2, -1), atol=1e-12)


def test_reads_nothing_where_nothing_is_asked():
    assert read_linearly(np.zeros((3, 4, 4, 4)), np.zeros((3, 0))).shape == (3, 0)

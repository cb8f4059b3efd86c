"""Storage order R, A, S: nothing but the order of voxels changes."""

import numpy as np
import pytest

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween.spatial import reorder_grid_to_ras, reorder_volume_to_ras


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_every_storage_order_becomes_the_same_scan(order):
    image = smooth_image(oblique_grid())
    found = reorder_volume_to_ras(stored(image, order))
    assert found.grid.is_close(image.grid, 1e-9)
    np.testing.assert_array_equal(found.data, image.data)


def test_labels_stay_labels_and_the_grid_is_that_of_the_voxels():
    labels = stored(label_blocks(oblique_grid()), STORAGE_ORDERS[29])
    found = reorder_volume_to_ras(labels)
    assert found.data.dtype == labels.data.dtype
    assert found.grid.axcodes == "RAS"
    assert found.grid.is_close(reorder_grid_to_ras(labels.grid), 0.0)

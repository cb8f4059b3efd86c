"""Storage order R, A, S: only the order of the voxels changes."""

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
    reordered = reorder_volume_to_ras(stored(image, order))
    assert reordered.grid.is_close(image.grid, 1e-9)
    np.testing.assert_array_equal(reordered.data, image.data)


def test_labels_stay_labels_and_the_grid_is_that_of_the_voxels():
    labels = stored(label_blocks(oblique_grid()), STORAGE_ORDERS[29])
    reordered = reorder_volume_to_ras(labels)
    assert reordered.data.dtype == labels.data.dtype
    assert reordered.grid.axcodes == "RAS"
    assert reordered.grid.is_close(reorder_grid_to_ras(labels.grid), 0.0)

"""The conventions of docs/conventions.md that join packages, in all storage orders."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from support.scans import (
    FIXED,
    MOVING,
    STORAGE_ORDERS,
    TO_MOVING,
    label_blocks,
    random_points_mm,
    smooth_field,
    some_affine,
    stored,
    tiny_model,
)
from voltween.registration import register_by_network
from voltween.spatial import DisplacementField, Image

POINTS_MM = random_points_mm(FIXED.grid, 200)


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def expected_mm(model):
    result = register_by_network(FIXED, MOVING, model)
    mapped_mm = result.fixed_to_moving.map_positions(POINTS_MM)
    initial_mm = result.before.map_positions(POINTS_MM)
    assert np.abs(mapped_mm - initial_mm).max() > 2  # the network moves something
    return mapped_mm


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_storage_order_of_either_scan_does_not_matter(order, model, expected_mm):
    # 7 and 48 have no common factor, so that the moving scan takes all 48 orders too.
    other = STORAGE_ORDERS[(STORAGE_ORDERS.index(order) * 7 + 5) % 48]
    result = register_by_network(stored(FIXED, order), stored(MOVING, other), model)
    mapped_mm = result.fixed_to_moving.map_positions(POINTS_MM)
    np.testing.assert_allclose(mapped_mm, expected_mm, atol=1e-4)


@pytest.mark.parametrize("order", STORAGE_ORDERS)
def test_moved_image_does_not_depend_on_storage_order(order):
    transform = some_affine(3) @ smooth_field(FIXED.grid)
    plain = transform.resample(MOVING, onto=FIXED.grid)
    onto = stored(plain, order)
    again = transform.resample(stored(MOVING, order), onto=onto.grid)
    np.testing.assert_allclose(again.data, onto.data, atol=1e-2)  # of about 3000


def test_moved_image_at_x_is_moving_image_at_t_of_x():
    transform = TO_MOVING @ smooth_field(FIXED.grid)
    moved = transform.resample(MOVING, onto=FIXED.grid)
    centers = FIXED.grid.voxel_centers_mm().reshape(-1, 3)
    voxels = MOVING.grid.world_to_voxel(transform.map_positions(centers)).T
    top = np.array(MOVING.grid.shape)[:, None] - 1
    inside = ((voxels >= 0) & (voxels <= top)).all(axis=0)
    expected = map_coordinates(MOVING.data.astype(float), voxels, order=1)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(moved.data.ravel()[inside], expected[inside], atol=1e-2)


def test_points_go_fixed_to_moving_where_images_come_from():
    """A bright voxel in moving appears in fixed where map_points says it came from."""
    data = np.zeros(MOVING.grid.shape)
    data[8, 9, 6] = 1000
    moving = Image(data, MOVING.grid)
    transform = TO_MOVING @ smooth_field(FIXED.grid)
    moved = transform.resample(moving, onto=FIXED.grid)
    brightest = np.array(np.unravel_index(moved.data.argmax(), moved.data.shape))
    fixed_mm = FIXED.grid.voxel_to_world(brightest.astype(float))
    moving_mm = transform.map_positions(fixed_mm[None])[0]
    distance_voxels = MOVING.grid.world_to_voxel(moving_mm) - [8, 9, 6]
    assert np.abs(distance_voxels).max() < 1


def test_labels_stay_whole_numbers_of_the_label_map():
    labels = label_blocks(MOVING.grid)
    moved = (TO_MOVING @ smooth_field(FIXED.grid)).resample(labels, onto=FIXED.grid)
    assert moved.data.dtype == labels.data.dtype
    assert moved.labels == labels.labels == (1, 2, 7, 40)


def test_flow_of_one_voxel_moves_content_by_one_voxel():
    flow = np.zeros((3, *FIXED.grid.shape))
    flow[2] = 1
    field = DisplacementField.from_flow(flow, FIXED.grid)
    moved = field.resample(FIXED, onto=FIXED.grid)
    np.testing.assert_allclose(moved.data[..., :-1], FIXED.data[..., 1:], atol=1e-2)

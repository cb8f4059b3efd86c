"""Images, label maps and points: what they hold, refuse and are told by."""

import numpy as np
import pytest

from support.scans import label_blocks, oblique_grid, smooth_image
from voltween.errors import InputError
from voltween.spatial import (
    Grid,
    Image,
    LabelMap,
    Points,
    labels_in_common,
    looks_like_labels,
)


def test_image_is_float32_and_read_only():
    image = Image(np.ones((15, 12, 10), np.int16), oblique_grid())
    assert image.data.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        image.data[0, 0, 0] = 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_image_refuses_voxels_that_are_not_numbers(bad):
    data = np.ones((15, 12, 10))
    data[3, 4, 5] = bad
    with pytest.raises(InputError, match="1 of 1800 that are NaN or infinite"):
        Image(data, oblique_grid())


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_voxels_in_the_order_of_a_file_are_turned_over(order):
    data = np.arange(130 * 9 * 5, dtype=np.int16).reshape(130, 9, 5).transpose(order)
    grid = Grid(data.shape, np.eye(4))
    for thing in (Image(data, grid), LabelMap(data, grid)):
        assert np.array_equal(thing.data, data)
        assert thing.data.flags.c_contiguous


def test_image_refuses_an_array_of_another_shape():
    with pytest.raises(InputError, match=r"\(15, 12, 10\), got \(3, 3, 3\)"):
        Image(np.ones((3, 3, 3)), oblique_grid())
    with pytest.raises(InputError, match="3D array, got one of shape"):
        Image(np.ones((3, 3)), oblique_grid())


def test_outside_value_is_air():
    grid = oblique_grid((2, 2, 2))
    assert Image(np.full((2, 2, 2), 5), grid).outside_value == 0
    assert Image(np.array([[[-1000, 5]] * 2] * 2), grid).outside_value == -1000


def test_label_map_of_another_machine_has_the_bytes_of_this_one():
    """SimpleITK takes no other ones."""
    data = np.arange(1800, dtype=">i2").reshape(15, 12, 10)
    labels = LabelMap(data, oblique_grid())
    assert labels.data.dtype == np.dtype("=i2")
    assert labels.data.dtype.isnative
    assert np.array_equal(labels.data, data)
    assert labels.to_sitk()[14, 11, 9] == 1799


def test_label_map_keeps_whole_numbers_stored_as_floats():
    labels = LabelMap(np.full((15, 12, 10), 7.0), oblique_grid())
    assert labels.data.dtype.kind == "i"
    assert labels.labels == (7,)


def test_label_map_refuses_fractions():
    with pytest.raises(InputError, match="intensity image"):
        LabelMap(np.full((15, 12, 10), 0.5), oblique_grid())


def test_labels_in_common_leave_out_background_and_labels_of_one_map():
    grid = oblique_grid((1, 1, 4))
    fixed = LabelMap(np.array([[[0, 1, 9, 4]]]), grid)
    moving = LabelMap(np.array([[[9, 0, 4, 7]]]), grid)
    assert labels_in_common(fixed, moving) == (4, 9)
    with pytest.raises(InputError, match=r"both .* got \(1, 4, 9\) and \(2,\)"):
        labels_in_common(fixed, LabelMap(np.full((1, 1, 4), 2), grid))


def test_points_refuse_wrong_shapes_and_names():
    with pytest.raises(InputError, match=r"\(N, 3\), got \(2, 2\)"):
        Points(np.zeros((2, 2)))
    with pytest.raises(InputError, match="finite positions"):
        Points(np.full((2, 3), np.nan))
    with pytest.raises(InputError, match="as many names"):
        Points(np.zeros((2, 3)), ("a",))


def test_label_maps_are_told_from_images():
    labels = label_blocks(oblique_grid())
    image = smooth_image(oblique_grid())
    assert looks_like_labels(labels.data)
    assert not looks_like_labels(image.data)
    assert not looks_like_labels(np.rint(image.data))


def test_images_with_doubled_voxels_or_two_backgrounds_are_no_label_maps():
    image = np.rint(smooth_image(oblique_grid((20, 20, 20))).data)
    doubled = image.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert not looks_like_labels(doubled)
    assert not looks_like_labels(np.pad(image, 20, constant_values=-1))

"""The window of intensities: outliers do not darken a picture."""

import numpy as np
import pytest

from voltween.figures import Window
from voltween.spatial import Grid, Image


def image(data):
    return Image(data, Grid(data.shape, np.eye(4)))


def test_a_single_bright_voxel_does_not_darken_the_rest():
    data = np.linspace(0, 100, 1000).reshape(10, 10, 10)
    data[0, 0, 0] = 1e6
    window = Window.of(image(data))
    assert window.low == pytest.approx(0.5, abs=0.3)
    assert window.high == pytest.approx(99.5, abs=0.3)


def test_gray_runs_from_black_to_white_and_no_further():
    gray = Window(-100.0, 300.0).gray(np.array([-1000.0, -100.0, 100.0, 300.0, 1e9]))
    assert gray.tolist() == [0, 0, 0.5, 1, 1]


def test_a_scan_that_is_little_but_background_shows_what_there_is():
    data = np.zeros((20, 20, 20))
    data[10, 10, 10:15] = 7.0
    assert Window.of(image(data)) == (0.0, 7.0)


def test_all_planes_of_a_scan_count():
    data = np.zeros((224, 224, 6))  # 50176 voxels per plane: about those of the sample
    data[:, :, 1:] = np.arange(1, 6)
    assert Window.of(image(data)) == (0.0, 5.0)


def test_a_constant_scan_is_black():
    scan = image(np.full((3, 4, 5), 7.0))
    assert (Window.of(scan).gray(scan.data) == 0).all()


def test_the_largest_intensities_have_a_window():
    data = np.array([-3e38, 0.0, 3e38] * 9).reshape(3, 3, 3)
    assert Window.of(image(data)).gray(data).max() == pytest.approx(1)


def test_levels_are_the_same_gray_as_bytes():
    data = np.linspace(-50, 250, 1000, dtype=np.float32).reshape(10, 10, 10)
    window = Window(0.0, 200.0)
    difference = window.levels(data) / 255 - window.gray(data)
    assert np.abs(difference).max() <= 0.5 / 255 + 1e-6


def test_the_narrowest_and_the_widest_windows_have_levels():
    for low, high in ((0.0, 1e-44), (-3e38, 3e38), (5.0, 5.0)):
        data = np.array([[[low, high]]], np.float32)
        assert Window(low, high).levels(data).dtype == np.uint8

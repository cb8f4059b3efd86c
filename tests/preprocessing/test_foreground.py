"""The foreground of scans: off center, small, with specks, padding or none."""

import gc
import weakref

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween.preprocessing import Preprocessing, find_foreground
from voltween.preprocessing import foreground as module
from voltween.spatial import Image, directions_to_ras


def body(grid, middle_mm, radii_mm=(30.0, 20.0, 25.0)):
    """Hounsfield units: an ellipsoid of tissue along the grid's own axes, in air."""
    along = (grid.voxel_centers_mm() - middle_mm) @ directions_to_ras(grid)
    inside = (np.square(along / radii_mm)).sum(axis=-1) < 1
    return gaussian_filter(np.where(inside, 40.0, -1000.0), 0.5)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_foreground_placement_finds_an_off_center_body(order):
    grid = oblique_grid((60, 44, 40), spacing_mm=(2.0, 2.5, 3.0))
    middle_mm = grid.center_mm + np.array([20.0, -15.0, 10.0])
    image = stored(Image(body(grid, middle_mm), grid), order)
    foreground = find_foreground(image, is_ct=True)
    np.testing.assert_allclose(foreground.center_mm, middle_mm, atol=1.5)
    np.testing.assert_allclose(foreground.extent_mm, [60, 40, 50], atol=6)
    rule = Preprocessing(
        (16, 16, 16), (5.0,) * 3, "foreground", (0.5, 99.5), (-300.0, 300.0)
    )
    np.testing.assert_allclose(
        rule.canonical_grid(image).center_mm, foreground.center_mm
    )


def test_foreground_ignores_specks_padding_and_the_offset_of_ct():
    grid = oblique_grid((60, 44, 40), spacing_mm=(2.0, 2.5, 3.0))
    units = body(grid, grid.center_mm, radii_mm=(45.0, 35.0, 40.0))
    plain = find_foreground(Image(units, grid), is_ct=True)
    with_offset = find_foreground(Image(units + 1000, grid), is_ct=True)
    np.testing.assert_allclose(with_offset.center_mm, plain.center_mm, atol=1e-3)
    units[:, :4], units[1:3, 20, 20] = -3024.0, 500.0
    again = find_foreground(Image(units, grid), is_ct=True)
    np.testing.assert_allclose(again.center_mm, plain.center_mm, atol=0.2)
    np.testing.assert_allclose(again.extent_mm, plain.extent_mm, atol=0.5)


def test_foreground_of_a_small_scan_is_found_on_finer_voxels():
    grid = oblique_grid((40, 40, 40), spacing_mm=(0.2, 0.2, 0.2))
    units = body(grid, grid.center_mm + 0.8, radii_mm=(2.0, 1.5, 1.8))
    foreground = find_foreground(Image(units, grid), is_ct=True)
    np.testing.assert_allclose(foreground.extent_mm, [4, 3, 3.6], atol=0.4)


def test_a_scan_without_foreground_counts_as_a_whole():
    grid = oblique_grid((20, 20, 20), spacing_mm=(2.0, 2.0, 2.0))
    foreground = find_foreground(Image(np.zeros(grid.shape), grid))
    np.testing.assert_allclose(foreground.center_mm, grid.center_mm, atol=1e-6)


def test_a_scan_is_surveyed_once_while_it_lives(monkeypatch):
    grid = oblique_grid((20, 18, 16))
    units = body(grid, grid.center_mm, radii_mm=(8.0, 9.0, 10.0))
    units[0] = -3000.0  # padding, which is no air
    image = Image(units, grid)
    first = find_foreground(image)
    surveyed = weakref.ref(image)
    with monkeypatch.context() as patched:
        patched.setattr(module, "resample_smoothly", None)
        assert find_foreground(image).threshold == first.threshold
    assert find_foreground(image, is_ct=True).threshold != first.threshold
    del image
    gc.collect()
    assert surveyed() is None

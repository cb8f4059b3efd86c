"""A pair seen without a model: grids around both foregrounds, as fine as the scans."""

import numpy as np
import pytest

from support.scans import (
    STORAGE_ORDERS,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween.refinement import Level, Refinement
from voltween.registration import register
from voltween.registration.fitting import fit_to_pair
from voltween.spatial import Grid, Image


def bright_box(shape_mm, spacing_mm=1.0, scan=60):
    """A bright box off the center of a dark scan."""
    grid = Grid.centered(
        (scan, scan, scan),
        center_mm=np.array([5.0, -3.0, 12.0]),
        spacing_mm=(spacing_mm,) * 3,
        directions=np.eye(3),
    )
    data = np.zeros(grid.shape)
    i, j, k = (round(mm / spacing_mm) for mm in shape_mm)
    data[8 : 8 + i, 12 : 12 + j, 15 : 15 + k] = 100
    return Image(data + np.random.default_rng(0).uniform(0, 5, data.shape), grid)


def as_ct(image):
    """The same in Hounsfield units: air, soft tissue, and a piece of bone."""
    units = np.where(image.data > 50, 40.0, -1000.0) + image.data
    units[20:23, 20:23, 20:23] = 900
    return Image(units, image.grid)


def test_the_grid_holds_what_is_bright_on_both_scans():
    one, other = bright_box((30, 20, 25)), bright_box((20, 35, 25))
    view = fit_to_pair(one, other, multiple=4)
    extent_mm = np.array(view.fixed.grid.shape) * view.fixed.grid.spacing_mm
    assert (extent_mm >= [30, 35, 25]).all()
    assert (extent_mm < np.array([30, 35, 25]) * 1.1 + 8).all()
    assert view.fixed.rule == view.moving.rule
    for image in view.images():
        assert image.mean() > 0.3


@pytest.mark.parametrize("is_ct", [False, True])
def test_each_grid_is_the_one_that_the_rule_places_on_the_scan(is_ct):
    scan = as_ct(bright_box((30, 20, 25))) if is_ct else bright_box((30, 20, 25))
    other = smooth_image(oblique_grid((24, 20, 18)))
    view = fit_to_pair(scan, other, multiple=4)
    for side, image in ((view.fixed, scan), (view.moving, other)):
        assert side.scan is image
        assert side.grid.is_close(side.rule.canonical_grid(image))


def test_sides_are_multiples_and_voxels_the_finest_there_are():
    fine, coarse = bright_box((30, 20, 25)), bright_box((30, 20, 25), 2.0, 40)
    for pair in ((fine, coarse), (coarse, fine)):
        rule = fit_to_pair(*pair, multiple=8).fixed.rule
        assert all(n % 8 == 0 for n in rule.shape)
        assert rule.spacing_mm == (1.0, 1.0, 1.0)


def test_large_scans_are_seen_on_about_a_million_voxels():
    large = bright_box((110, 110, 110), 1.0, 130)
    rule = fit_to_pair(large, large, multiple=4).fixed.rule
    assert 0.9e6 < np.prod(rule.shape) < 1.4e6
    assert rule.spacing_mm[0] > 1.0


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_the_storage_order_does_not_matter(order):
    image = smooth_image(oblique_grid((24, 20, 18)))
    plain = fit_to_pair(image, image, multiple=4)
    again = fit_to_pair(stored(image, order), image, multiple=4)
    assert again.fixed.rule == again.moving.rule == plain.fixed.rule
    assert again.fixed.grid.is_close(plain.fixed.grid)


def test_a_ct_is_seen_through_a_window_and_another_scan_by_percentiles():
    other = bright_box((30, 20, 25))
    view = fit_to_pair(as_ct(other), other, multiple=4)
    assert view.fixed.rule.hounsfield_window == (-300, 700)
    assert view.moving.rule.hounsfield_window is None
    assert view.fixed.grid.shape == view.moving.grid.shape


def test_thin_scans_keep_two_of_the_widest_voxels():
    scan = smooth_image(oblique_grid((32, 30, 3), spacing_mm=(1.0, 1.0, 1.0)))
    assert min(fit_to_pair(scan, scan, multiple=4).fixed.grid.shape) == 8
    quick = Refinement((Level(2, 5, 0.5, 4),))
    assert register(scan, scan, model=None, refinement=quick).folding_percent == 0

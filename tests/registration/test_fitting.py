"""A pair seen without a model: all that is bright on both, as fine as makes sense."""

import numpy as np
import pytest

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_image,
    stored,
)
from voltween.errors import InputError
from voltween.refinement import FAST_ALONE
from voltween.registration import register
from voltween.registration.fitting import fit_to_pair
from voltween.spatial import Grid, Image


def bright_box(shape_mm, spacing_mm=1.0, scan=60):
    """A bright box off the middle of a dark scan."""
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


def test_the_grid_holds_what_is_bright_on_both_scans():
    one, other = bright_box((30, 20, 25)), bright_box((20, 35, 25))
    rules = fit_to_pair(one, other, multiple=4)
    extent_mm = np.array(rules[0].shape) * rules[0].spacing_mm
    assert (extent_mm >= [30, 35, 25]).all()
    assert (extent_mm < np.array([30, 35, 25]) * 1.1 + 8).all()
    assert rules[0] == rules[1]
    for rule, image in zip(rules, (one, other), strict=True):
        assert rule.normalize(image).data.mean() > 0.3


def test_sides_are_multiples_and_voxels_the_finest_there_are():
    fine, coarse = bright_box((30, 20, 25)), bright_box((30, 20, 25), 2.0, 40)
    for pair in ((fine, coarse), (coarse, fine)):
        rule, _ = fit_to_pair(*pair, multiple=8)
        assert all(n % 8 == 0 for n in rule.shape)
        assert rule.spacing_mm == (1.0, 1.0, 1.0)


def test_large_scans_are_seen_on_about_a_million_voxels():
    large = bright_box((110, 110, 110), 1.0, 130)
    rule, _ = fit_to_pair(large, large, multiple=4)
    assert 0.9e6 < np.prod(rule.shape) < 1.4e6
    assert rule.spacing_mm[0] > 1.0


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_the_storage_order_does_not_matter(order):
    image = smooth_image(oblique_grid((24, 20, 18)))
    plain = fit_to_pair(image, image, multiple=4)
    assert fit_to_pair(stored(image, order), image, multiple=4) == plain


def test_a_ct_is_seen_through_a_window_and_another_scan_by_percentiles():
    other = bright_box((30, 20, 25))
    units = np.where(other.data > 50, 40.0, -1000.0) + other.data
    units[20:23, 20:23, 20:23] = 900
    ct = Image(units, other.grid)
    rules = fit_to_pair(ct, other, multiple=4)
    assert rules[0].hounsfield_window is not None
    assert rules[1].hounsfield_window is None
    assert rules[0].shape == rules[1].shape


def test_what_cannot_be_registered_is_refused():
    image = smooth_image(oblique_grid((20, 20, 20)))
    labels = label_blocks(image.grid)
    with pytest.raises(InputError, match="label map"):
        fit_to_pair(image, Image(labels.data, labels.grid), multiple=4)


def test_thin_scans_keep_two_of_the_widest_voxels():
    scan = smooth_image(oblique_grid((32, 30, 3), spacing_mm=(1.0, 1.0, 1.0)))
    rule, _ = fit_to_pair(scan, scan, multiple=4)
    assert min(rule.shape) == 8
    found = register(scan, scan, model=None, refinement=FAST_ALONE)
    assert found.folding_percent == 0

"""Histograms made alike, and foregrounds scaled."""

import numpy as np
import pytest

from support.cohorts import trunk
from support.scans import oblique_grid, smooth_image
from voltween import io
from voltween.cohorts.crop import liver_crop
from voltween.cohorts.intensities import (
    histogram_distance,
    match_histogram,
    normalize_foreground,
)
from voltween.errors import InputError
from voltween.spatial import Image


def test_the_distance_of_histograms_is_that_of_their_quantiles():
    image = smooth_image(oblique_grid())
    assert histogram_distance(image, image) == 0
    brighter = Image(image.data + 150, image.grid)
    assert histogram_distance(brighter, image) == pytest.approx(150, rel=1e-5)


def test_a_shifted_exposure_is_undone():
    ct, _ = trunk()
    shifted = Image(ct.data * 0.7 + 150, ct.grid)
    matched = match_histogram(shifted, ct)
    assert histogram_distance(shifted, ct) > 100
    assert histogram_distance(matched, ct) < 0.1
    np.testing.assert_allclose(matched.data, ct.data, atol=0.1)


def test_what_was_brighter_stays_brighter_and_stays_in_place():
    image, reference = (smooth_image(oblique_grid(), seed) for seed in (0, 1))
    bent = Image(np.sqrt(image.data), image.grid)
    matched = match_histogram(bent, reference)
    order = image.data.ravel().argsort()
    assert (np.diff(matched.data.ravel()[order]) >= -1e-3).all()
    assert matched.grid is image.grid
    before = histogram_distance(bent, reference)
    assert histogram_distance(matched, reference) < 0.06 * before


def test_foreground_goes_from_0_to_1_whatever_the_background():
    image = smooth_image(oblique_grid())
    inside = image.data > np.median(image.data)
    head = Image(np.where(inside, image.data, 0), image.grid)
    scaled, (low, high) = normalize_foreground(head)
    expected = np.percentile(
        head.data[head.data > 0.001 * head.data.max()], [0.5, 99.5]
    )
    np.testing.assert_allclose([low, high], expected, rtol=1e-6)
    np.testing.assert_allclose(
        scaled.data, ((head.data - low) / (high - low)).clip(0, 1), atol=1e-6
    )


@pytest.mark.parametrize("function", [normalize_foreground, match_histogram])
def test_constant_images_are_refused(function):
    constant = Image(np.ones((4, 4, 4)), oblique_grid((4, 4, 4)))
    with pytest.raises(InputError, match="got a constant image"):
        function(*[constant] * (1 + (function is match_histogram)))


def test_real_scans_of_two_scanners_get_one_histogram(shared_data):
    folder = shared_data / "abdomen_ct/images"
    one, other = (
        io.read(folder / f"{name}.nii.gz")
        for name in ("chaos_ct_sample", "totalsegmentator_example_ct_sm")
    )
    one, other = liver_crop(one).cut(one), liver_crop(other).cut(other)
    assert histogram_distance(one, other) > 70
    assert histogram_distance(match_histogram(one, other), other) < 10

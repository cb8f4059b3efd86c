"""Interpolation, against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk

from support.itk_tools import itk_affine, itk_chain, itk_field, itk_image, itk_resampled
from support.scans import FIXED, MOVING, TO_MOVING, smooth_field
from voltween.errors import InputError
from voltween.spatial import Affine, Image, LabelMap

FIELD = smooth_field(FIXED.grid, largest_voxels=1.5)
TRANSFORM = TO_MOVING @ FIELD
BY_ITK = itk_chain(itk_field(FIELD), itk_affine(TO_MOVING))
RANDOM = np.random.default_rng(0)
NOISE = Image(RANDOM.standard_normal(MOVING.grid.shape), MOVING.grid)
LABELS = LabelMap(RANDOM.integers(0, 6, MOVING.grid.shape).astype(np.int16), NOISE.grid)
WAYS = {
    "linear": sitk.sitkLinear,
    "nearest": sitk.sitkNearestNeighbor,
    "cubic": sitk.sitkBSpline,
}


@pytest.mark.parametrize("way", WAYS)
def test_image_is_as_by_simpleitk(way):
    ours = TRANSFORM.resample(NOISE, onto=FIXED.grid, interpolation=way, fill=-7.0)
    image = itk_image(NOISE.data, NOISE.grid)
    theirs = itk_resampled(image, BY_ITK, FIXED.grid, WAYS[way], -7.0)
    assert 0 < (theirs == -7).mean() < 0.9
    np.testing.assert_allclose(ours.data, theirs, atol=1e-4)


def test_label_with_the_largest_share_is_as_by_simpleitk():
    ours = TRANSFORM.resample(LABELS, onto=FIXED.grid, interpolation="label")
    image = itk_image(LABELS.data, LABELS.grid)
    theirs = itk_resampled(image, BY_ITK, FIXED.grid, sitk.sitkLabelLinear)
    nearest = TRANSFORM.resample(LABELS, onto=FIXED.grid)
    assert (nearest.data != theirs).mean() > 0.05
    np.testing.assert_array_equal(ours.data, theirs)


def test_of_two_labels_with_one_share_the_smaller_is_taken():
    data = np.zeros((4, 2, 2), np.int16)
    data[:2], data[2:] = 9, 5
    grid = Affine.identity()
    half = np.eye(4)
    half[0, 3] = 1.5
    labels = LabelMap(data, FIXED.grid.__class__(data.shape, np.eye(4)))
    onto = labels.grid.__class__((1, 2, 2), half)
    moved = grid.resample(labels, onto=onto, interpolation="label")
    assert moved.labels == (5,)


@pytest.mark.parametrize("way", ["nearest", "label"])
def test_labels_beyond_the_image_get_the_fill_value(way):
    far = np.eye(4)
    far[:3, 3] = 1e4
    moved = Affine(far).resample(LABELS, onto=FIXED.grid, interpolation=way, fill=3.0)
    assert moved.labels == (3,)


@pytest.mark.parametrize(
    ("volume", "way", "fill", "message"),
    [
        (LABELS, "linear", None, "interpolation of labels: expected nearest or label"),
        (NOISE, "label", None, "interpolation of an image"),
        (LABELS, "nearest", 1e6, "expected a number that int16 holds"),
        (LABELS, "label", 0.5, "expected a number that int16 holds"),
    ],
)
def test_what_does_not_fit_is_refused(volume, way, fill, message):
    with pytest.raises(InputError, match=message):
        TRANSFORM.resample(volume, onto=FIXED.grid, interpolation=way, fill=fill)

from typing import get_args

import pytest
import torch

from support.tensors import random_volumes
from voltween import losses
from voltween.losses import Similarity, measure_named, similarity_loss
from voltween.losses.mind import mind_ssc

each = pytest.mark.parametrize("name", get_args(Similarity))


def images(count=2, shape=(1, 1, 9, 8, 10)):
    return random_volumes(count, shape)


@each
def test_equal_weights_are_as_good_as_none(name):
    measure = measure_named(name, window_voxels=3)
    fixed, moved, weights = images(3)
    features = measure.describe(fixed), measure.describe(moved)
    plain = measure.loss(*features, None)
    equal = measure.loss(*features, torch.ones_like(weights))
    torch.testing.assert_close(equal, plain, atol=1e-4, rtol=0)
    assert measure.loss(*features, weights) != plain


@each
def test_the_loss_of_images_is_the_measure_without_weights(name):
    measure = measure_named(name, window_voxels=3)
    fixed, moved = images()
    found = similarity_loss(name, window_voxels=3)(fixed, moved)
    features = measure.describe(fixed), measure.describe(moved)
    assert found == measure.loss(*features, None)
    assert found > similarity_loss(name, window_voxels=3)(fixed, fixed)


def test_images_describe_themselves_but_for_mind():
    (image,) = images(1)
    for name in get_args(Similarity):
        described = measure_named(name, window_voxels=5).describe(image)
        if name == "MIND-SSC":
            torch.testing.assert_close(described, mind_ssc(image))
        else:
            assert described is image


def test_seed_is_that_of_the_sample_of_mutual_information():
    fixed, moved = images(2, (1, 1, 20, 16, 16))  # more voxels than a sample has
    for seed in (3, [4]):
        found = similarity_loss("mutual information", window_voxels=3, seed=seed)
        expected = losses.mutual_information_loss(fixed, moved, seed=seed)
        assert found(fixed, moved) == expected


def test_window_is_the_side_of_the_cubes():
    fixed, moved, weights = images(3)
    for width in (3, 7):
        loss = measure_named("local correlation", window_voxels=width).loss
        expected = losses.local_correlation_loss(fixed, moved, width=width)
        assert loss(fixed, moved, None) == expected
        expected = losses.local_correlation_loss(fixed, moved, weights, width=width)
        assert loss(fixed, moved, weights) == expected


def test_mind_is_0_for_equal_and_about_1_for_unrelated_images():
    fixed, moved = images(2, (1, 1, 24, 24, 24))
    loss = similarity_loss("MIND-SSC", window_voxels=5)
    assert loss(fixed, 1 - fixed).item() == pytest.approx(0, abs=1e-12)
    assert loss(fixed, moved).item() == pytest.approx(1, abs=0.2)

"""Weights of atlases: the better one counts more, shared errors count once."""

import numpy as np
import pytest

from support.scans import oblique_grid, smooth_image
from voltween.fusion.weights import correlation_weights, joint_weights

SCAN = smooth_image(oblique_grid((16, 15, 14)), 1).data
EVERYWHERE = np.ones(SCAN.shape, bool)


def disturbed(seed, share):
    """The scan mixed with another image."""
    other = smooth_image(oblique_grid((16, 15, 14)), 10 + seed).data
    return ((1 - share) * SCAN + share * other).astype(np.float32)


@pytest.mark.parametrize("weigh", [correlation_weights, joint_weights])
def test_the_better_atlas_counts_more(weigh):
    images = np.stack([disturbed(1, 0.1), disturbed(2, 0.6)])
    good, bad = weigh(SCAN, images, EVERYWHERE)
    assert np.median(good / bad) > 2
    assert (good > bad).mean() > 0.9


@pytest.mark.parametrize("weigh", [correlation_weights, joint_weights])
def test_gain_and_offset_do_not_matter(weigh):
    images = np.stack([disturbed(1, 0.1), disturbed(2, 0.6)])
    scaled = np.stack([3 * images[0] + 500, images[1]])
    one, other = (weigh(SCAN, each, EVERYWHERE) for each in (images, scaled))
    assert np.allclose(one, other, rtol=1e-2, atol=1e-4)


def test_correlations_count_whatever_their_sign():
    """An atlas of another modality may have bright and dark exchanged."""
    images = np.stack([disturbed(1, 0.2), -disturbed(1, 0.2)])
    one, other = correlation_weights(SCAN, images, EVERYWHERE)
    assert np.allclose(one, other, rtol=1e-4)


def test_joint_weights_add_up_to_one():
    images = np.stack([disturbed(n, 0.3) for n in range(3)])
    where = np.median(SCAN) < SCAN
    weights = joint_weights(SCAN, images, where)
    assert weights.shape == (3, where.sum())
    assert np.allclose(weights.sum(axis=0), 1)
    assert weights.min() > 0


def test_two_copies_of_an_atlas_count_as_one():
    """A majority would follow the copies; joint weights do not."""
    twice, other = disturbed(1, 0.4), disturbed(2, 0.4)
    first, second, third = joint_weights(
        SCAN, np.stack([twice, twice, other]), EVERYWHERE
    )
    alone, third_then = joint_weights(SCAN, np.stack([twice, other]), EVERYWHERE)
    assert np.allclose(first, second)
    inside = (third > 0.01) & (third < 0.99)
    ratios = (first + second) / third / (alone / third_then)
    assert np.median(ratios[inside]) < 1.3

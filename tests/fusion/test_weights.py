"""Weights of atlases: the better one counts more."""

import numpy as np

from support.scans import oblique_grid, smooth_image
from voltween.fusion.weights import correlation_weights

SCAN = smooth_image(oblique_grid((16, 15, 14)), 1).data
EVERYWHERE = np.ones(SCAN.shape, bool)


def disturbed(seed, share):
    """The scan mixed with another image."""
    other = smooth_image(oblique_grid((16, 15, 14)), 10 + seed).data
    return ((1 - share) * SCAN + share * other).astype(np.float32)


def test_the_better_atlas_counts_more():
    images = np.stack([disturbed(1, 0.1), disturbed(2, 0.6)])
    good, bad = correlation_weights(SCAN, images, EVERYWHERE)
    assert np.median(good / bad) > 2
    assert (good > bad).mean() > 0.9


def test_gain_and_offset_do_not_matter():
    images = np.stack([disturbed(1, 0.1), disturbed(2, 0.6)])
    scaled = np.stack([3 * images[0] + 500, images[1]])
    one, other = (
        correlation_weights(SCAN, each, EVERYWHERE) for each in (images, scaled)
    )
    assert np.allclose(one, other, rtol=1e-2, atol=1e-4)


def test_correlations_count_whatever_their_sign():
    """An atlas of another modality may have bright and dark exchanged."""
    images = np.stack([disturbed(1, 0.2), -disturbed(1, 0.2)])
    one, other = correlation_weights(SCAN, images, EVERYWHERE)
    assert np.allclose(one, other, rtol=1e-4)

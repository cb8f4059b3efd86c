"""Votes of label maps, against counting by hand."""

from collections import Counter

import numpy as np

from voltween.fusion.votes import disputed, most_supported


def counted(column, weights):
    """The label of the greatest weight, the smallest of several."""
    votes = Counter()
    for label, weight in zip(column, weights, strict=True):
        votes[label] += weight
    return min(votes, key=lambda label: (-votes[label], label))


def test_majorities_are_those_of_counting():
    labels = np.random.default_rng(0).integers(0, 4, (5, 300))
    fused = most_supported(labels, np.ones(labels.shape))
    assert fused.tolist() == [counted(column, [1] * 5) for column in labels.T]


def test_weighted_votes_are_those_of_counting():
    rng = np.random.default_rng(1)
    labels, weights = rng.integers(0, 5, (7, 300)), rng.uniform(0, 1, (7, 300))
    fused = most_supported(labels, weights)
    pairs = zip(labels.T, weights.T, strict=True)
    assert fused.tolist() == [counted(*pair) for pair in pairs]


def test_the_order_of_the_voters_does_not_matter():
    labels = np.random.default_rng(2).integers(0, 3, (4, 200))
    weights = np.ones(labels.shape)
    assert np.array_equal(
        most_supported(labels, weights), most_supported(labels[::-1], weights)
    )


def test_who_has_no_weight_has_no_vote():
    labels = np.array([[0, 5], [0, 6], [7, 6]])
    weights = np.array([[0.0, 0], [0, 0], [1, 0]])
    assert most_supported(labels, weights).tolist() == [7, 5]


def test_voxels_are_disputed_where_maps_differ_or_end():
    labels = np.ones((2, 1, 1, 3), int)
    labels[1, 0, 0, 0] = 2
    is_shown = np.ones(labels.shape, bool)
    is_shown[0, 0, 0, 1] = False
    assert disputed(labels, is_shown).tolist() == [[[True, True, False]]]

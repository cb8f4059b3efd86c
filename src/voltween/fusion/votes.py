"""The label with the greatest support among several label maps, voxel by voxel."""

import numpy as np
from jaxtyping import Bool, Float, Shaped

Labels = Shaped[np.ndarray, "n v"]
Weights = Float[np.ndarray, "n v"]


def most_supported(labels: Labels, weights: Weights) -> Shaped[np.ndarray, " v"]:
    """Takes the label whose voters have the greatest weight together.

    Of labels with equal support, it is the smallest one, so that the order of the
    voters does not matter.

    Args:
        labels: The label that every voter gives to every voxel.
        weights: The weight of every voter there, at least 0.
    """
    best = labels.min(axis=0)
    support = _support(best, labels, weights)
    for candidate in labels:
        its = _support(candidate, labels, weights)
        is_better = (its > support) | ((its == support) & (candidate < best))
        best = np.where(is_better, candidate, best)
        support = np.where(is_better, its, support)
    return best


def _support(
    candidate: Shaped[np.ndarray, " v"], labels: Labels, weights: Weights
) -> Float[np.ndarray, " v"]:
    """The weight of all that vote for a candidate."""
    return np.where(labels == candidate, weights, 0).sum(axis=0)


def disputed(
    labels: Shaped[np.ndarray, "n i j k"], is_shown: Bool[np.ndarray, "n i j k"]
) -> Bool[np.ndarray, "i j k"]:
    """Whether the label of a voxel is not the same in all maps that show it."""
    return (labels != labels[0]).any(axis=0) | ~is_shown.all(axis=0)

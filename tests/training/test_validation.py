"""Figures of a network on validation pairs, stage by stage."""

import numpy as np
import pytest
import torch

from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.training import StageValidation
from voltween.training.samples import Sample
from voltween.training.validation import (
    measure_stages,
    merit,
    stage_means,
    validation_pairs,
)


def sample(name, position, labels=(1, 2)):
    image, map_ = torch.zeros(2, 1, 16, 16, 16)
    for label in labels:
        block = (0, slice(position, position + 4), slice(4 * label, 4 * label + 3))
        image[block] = 0.5 + 0.2 * label
        map_[block] = label
    return Sample(name, image, map_.int())


def shifting_network(voxels):
    """An affine network that always shifts along i by `voxels`."""
    network = VolumeTweeningNetwork(CascadeConfig("A", (16, 16, 16), 2))

    def shift(fixed, moving):
        translation = torch.tensor([[float(voxels), 0.0, 0.0]])
        return torch.zeros(len(fixed), 3, 3), translation

    network.affine.forward = shift
    return network


def test_perfect_shift_has_dice_and_correlation_1_after_the_stage():
    samples = [sample("a", 4), sample("b", 7)]
    figures = measure_stages(shifting_network(3), samples, [(0, 1)])
    before, after = stage_means(figures, ["affine"])
    assert before.stage == "before"
    assert before.dice == pytest.approx(2 * 1 / 8)  # 1 of 4 voxels shared
    assert (after.dice, after.folding_percent) == (1, 0)
    assert after.correlation == pytest.approx(1, abs=1e-6)


def test_labels_that_only_one_scan_has_do_not_count():
    samples = [sample("a", 4, (1,)), sample("b", 7, (1, 2))]
    figures = measure_stages(shifting_network(3), samples, [(0, 1)])
    assert stage_means(figures, ["affine"])[1].dice == 1


def test_pairs_are_the_labeled_ones_and_always_the_same():
    bare = Sample("bare", torch.zeros(1, 16, 16, 16), None)
    samples = [sample("a", 1), bare, sample("b", 2), sample("c", 3)]
    pairs = validation_pairs(samples, 4)
    assert pairs == validation_pairs(samples, 4)
    assert len(set(pairs)) == 4
    assert all(1 not in pair for pair in pairs)
    assert len(validation_pairs([bare, bare], 20)) == 2
    assert validation_pairs([bare], 20) == []


def test_without_labels_the_best_has_the_highest_correlation():
    figures = np.array([[[np.nan, 0.2, 0.0], [np.nan, 0.7, 0.0]]])
    stages = stage_means(figures, ["affine"])
    assert stages[1] == StageValidation("affine", None, 0.7, 0.0)
    assert merit(stages) == 0.7

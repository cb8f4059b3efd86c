"""Weights of Table I, and which stages carry which loss."""

import pytest
import torch

from voltween import losses
from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.objective import VTN_LIVER, Objective, stage_losses, total_loss


def tweened(stages="ADDD"):
    torch.manual_seed(0)
    network = VolumeTweeningNetwork(CascadeConfig(stages, (16, 16, 16), 2))
    with torch.no_grad():
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.1)
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.05)
    fixed, moving = torch.rand(2, 1, 1, 16, 16, 16)
    return network(fixed, moving), fixed


def test_table_1():
    assert (VTN_LIVER.determinant, VTN_LIVER.orthogonality) == (0.1, 0.1)
    assert VTN_LIVER.total_variation == 1
    tweening, fixed = tweened()
    terms = stage_losses(tweening, fixed, VTN_LIVER)
    affine, first, second, third = tweening.stages
    expected = {
        "affine similarity": losses.correlation_loss(fixed, affine.moved),
        "affine orthogonality": 0.1 * losses.orthogonality_loss(affine.matrix),
        "affine determinant": 0.1 * losses.determinant_loss(affine.matrix),
        "dense 1 total variation": losses.total_variation_loss(first.own_flow),
        "dense 2 total variation": losses.total_variation_loss(second.own_flow),
        "dense 2 similarity": 0.05 * losses.correlation_loss(fixed, second.moved),
        "dense 3 total variation": losses.total_variation_loss(third.own_flow),
        "dense 3 similarity": losses.correlation_loss(fixed, third.moved),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value)
    torch.testing.assert_close(total_loss(terms), sum(expected.values()))


@pytest.mark.parametrize("stages", ["A", "D", "AD", "DD"])
def test_the_last_stage_always_carries_a_similarity(stages):
    tweening, fixed = tweened(stages)
    last = f"dense {stages.count('D')}" if "D" in stages else "affine"
    assert f"{last} similarity" in stage_losses(tweening, fixed, Objective())


def test_local_correlation_is_for_the_last_stage_alone():
    tweening, fixed = tweened("DD")
    terms = stage_losses(
        tweening, fixed, Objective(last_similarity="local correlation")
    )
    first, last = tweening.stages
    torch.testing.assert_close(
        terms["dense 2 similarity"], losses.local_correlation_loss(fixed, last.moved)
    )
    torch.testing.assert_close(
        terms["dense 1 similarity"], 0.05 * losses.correlation_loss(fixed, first.moved)
    )

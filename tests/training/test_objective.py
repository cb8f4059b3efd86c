"""Weights of Table I, and which stages carry which loss."""

from pathlib import Path
from typing import get_args

import pytest
import torch
import tyro

from voltween import losses
from voltween.losses import dice_loss, invertibility_loss
from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.ops import warp
from voltween.preprocessing import Preprocessing
from voltween.training import (
    SUPERVISED,
    VTN_LIVER,
    Objective,
    TrainConfig,
    read_plan,
    stage_losses,
    total_loss,
    write_plan,
)
from voltween.training.objective import (
    RCN,
    PairBatch,
    Similarity,
    _blur,
    pair_losses,
)
from voltween.training.plan_file import TrainingPlan


def tweened(stages="ADDD"):
    torch.manual_seed(0)
    network = VolumeTweeningNetwork(CascadeConfig(stages, (16, 16, 16), 2))
    with torch.no_grad():
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.1)
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.3)
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
        "affine orthogonality": 0.1 * losses.orthogonality_loss(affine.parts.matrix),
        "affine determinant": 0.1 * losses.determinant_loss(affine.parts.matrix),
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


def test_invertibility_registers_both_ways():
    network = VolumeTweeningNetwork(CascadeConfig("AD", (16, 16, 16), 2))
    with torch.no_grad():
        network.dense[0].flow.weight.normal_(0, 0.3)
    fixed, moving = torch.rand(2, 1, 1, 16, 16, 16)
    one_way = pair_losses(network, PairBatch(fixed, moving), Objective())
    both = pair_losses(network, PairBatch(fixed, moving), Objective(invertibility=0.5))
    other_way = pair_losses(network, PairBatch(moving, fixed), Objective())
    assert set(both) == {*one_way, "invertibility"}
    for name, term in one_way.items():
        torch.testing.assert_close(both[name], (term + other_way[name]) / 2)
    there, back = network(fixed, moving), network(moving, fixed)
    expected = 0.5 * invertibility_loss(there.flow, back.flow)
    torch.testing.assert_close(both["invertibility"], expected)


@pytest.mark.parametrize("similarity", get_args(Similarity))
def test_every_similarity_can_be_trained(similarity):
    network = VolumeTweeningNetwork(CascadeConfig("AD", (16, 16, 16), 2))
    objective = Objective(last_similarity=similarity)
    terms = pair_losses(network, PairBatch(*torch.rand(2, 1, 1, 16, 16, 16)), objective)
    total_loss(terms).backward()
    gradient = network.dense[0].flow.weight.grad
    assert torch.isfinite(gradient).all()
    assert gradient.any()


def test_mutual_information_samples_by_the_seed_of_every_pair():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 2, 1, 32, 16, 16, generator=generator)  # twice the sample
    network = VolumeTweeningNetwork(CascadeConfig("D", (32, 16, 16), 2))
    objective = Objective(last_similarity="mutual information")

    def information(seeds, chosen=slice(None)):
        pairs = PairBatch(*images[:, chosen], seeds=seeds)
        with torch.no_grad():
            return pair_losses(network, pairs, objective)["dense 1 similarity"]

    assert information((5, 6)) == information((5, 6)) != information((7, 8))
    each = [information((5,), slice(0, 1)), information((6,), slice(1, 2))]
    torch.testing.assert_close(information((5, 6)), sum(each) / 2)
    moved = network(*images).stages[-1].moved
    expected = losses.mutual_information_loss(images[0], moved, seed=[5, 6])
    torch.testing.assert_close(information((5, 6)), expected)


def test_the_way_back_has_the_sample_of_the_way_there():
    images = torch.rand(2, 1, 1, 16, 16, 16)
    labels = torch.rand(2, 1, 3, 16, 16, 16)
    pairs = PairBatch(*images, *labels, target=torch.zeros(1), seeds=(3,))
    swapped = pairs.swapped
    assert swapped.seeds == (3,)
    assert swapped.target is None
    assert (swapped.fixed is pairs.moving) & (swapped.moving is pairs.fixed)
    assert swapped.fixed_labels is pairs.moving_labels
    assert swapped.moving_labels is pairs.fixed_labels


@pytest.mark.parametrize("similarity", get_args(Similarity))
def test_every_similarity_can_be_chosen_by_name(similarity, tmp_path):
    arguments = ["--training.objective.last-similarity", similarity]
    chosen = tyro.cli(TrainingPlan, args=arguments, default=plan_with("correlation"))
    assert chosen == plan_with(similarity)
    assert read_plan(write_plan(chosen, tmp_path / "plan.toml")) == chosen


def plan_with(similarity):
    shape = (16, 16, 16)
    return TrainingPlan(
        Path("/cases.csv"),
        Preprocessing(shape, (2.0, 2.0, 2.0)),
        CascadeConfig("AD", shape, 2),
        TrainConfig(objective=Objective(last_similarity=similarity)),
    )


def test_rcn_halves_two_terms_and_looks_at_the_last_stage_alone():
    assert RCN.determinant == VTN_LIVER.determinant / 2
    assert RCN.total_variation == VTN_LIVER.total_variation / 2
    tweening, fixed = tweened("ADDD")
    terms = stage_losses(tweening, fixed, RCN)
    assert terms["affine similarity"] == 0
    assert [n for n in terms if n.endswith("similarity")][1:] == ["dense 3 similarity"]


def test_overlap_is_the_dice_of_labels_moved_by_the_last_flow():
    network = VolumeTweeningNetwork(CascadeConfig("AD", (16, 16, 16), 2))
    with torch.no_grad():
        network.dense[0].flow.weight.normal_(0, 0.3)
    images = torch.rand(2, 1, 1, 16, 16, 16)
    labels = (torch.rand(2, 1, 3, 16, 16, 16) > 0.5).float()
    pairs = PairBatch(*images, *labels)
    terms = pair_losses(network, pairs, Objective(overlap=(2.0,)))
    moved = warp(labels[1], network(*images).flow)
    expected = 2 * dice_loss(labels[0], moved)
    torch.testing.assert_close(terms["dense 1 overlap"], expected)
    assert "affine overlap" not in terms
    with pytest.raises(ValueError, match="label maps of both"):
        pair_losses(network, PairBatch(*images), Objective(overlap=(2.0,)))


def test_affine_overlap_pulls_on_structures_that_do_not_touch():
    fixed, moving = torch.zeros(2, 1, 1, 32, 32, 32)
    fixed[..., 8:14, 14:18, 14:18], moving[..., 18:24, 14:18, 14:18] = 1, 1
    network = VolumeTweeningNetwork(CascadeConfig("AD", (32, 32, 32), 2))
    pairs = PairBatch(torch.rand(1, 1, 32, 32, 32), torch.rand(1, 1, 32, 32, 32))
    pairs = pairs._replace(fixed_labels=fixed, moving_labels=moving)
    terms = pair_losses(network, pairs, Objective(overlap=(0.0, 1.0)))
    terms["affine overlap"].backward()
    along_i = network.affine.head.weight.grad[9]
    assert along_i.norm() > 0
    assert "dense 1 overlap" not in terms


def test_supervised_training_minimizes_end_point_error_and_irregularity():
    network = VolumeTweeningNetwork(CascadeConfig("AD", (16, 16, 16), 2))
    images = torch.rand(2, 1, 1, 16, 16, 16)
    target = torch.zeros(1, 3, 16, 16, 16)
    target[:, 0] = 2.0  # and the untrained network's flow is 0
    terms = pair_losses(network, PairBatch(*images, target=target), SUPERVISED)
    assert float(terms["end-point error"].detach()) == pytest.approx(2, abs=1e-5)
    similarities = [v for n, v in terms.items() if n.endswith("similarity")]
    assert all(value == 0 for value in similarities)
    assert "dense 1 total variation" in terms
    with pytest.raises(ValueError, match="needs target flows, got none"):
        pair_losses(network, PairBatch(*images), SUPERVISED)


def test_maps_are_blurred_by_averages_of_cubes_and_linear_interpolation():
    maps = torch.rand(2, 3, 24, 17, 32)
    coarse = torch.nn.functional.avg_pool3d(maps, 8)
    expected = torch.nn.functional.interpolate(
        coarse, size=maps.shape[2:], mode="trilinear"
    )
    torch.testing.assert_close(_blur(maps), expected)

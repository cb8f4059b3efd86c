"""Layer tables and parameter counts of the paper (section IV-B, figures 4 and 5)."""

import pytest
import torch

from voltween.networks import (
    AffineSubnetwork,
    CascadeConfig,
    DenseSubnetwork,
    VolumeTweeningNetwork,
)
from voltween.networks.cascade import check_pair
from voltween.ops import affine_flow, compose, warp


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes_of(module, names, *inputs):
    """Output shapes (channels, side) of submodules by their class, in order of use."""
    shapes = []
    hooks = [
        layer.register_forward_hook(
            lambda _, __, output: shapes.append((output.shape[1], output.shape[2]))
        )
        for layer in module.modules()
        if type(layer).__name__ in names
    ]
    module(*inputs)
    for hook in hooks:
        hook.remove()
    return shapes


def randomized(network):
    """The network with its last layers away from zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.1)
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.1)
    return network


def test_dense_subnetwork_has_the_papers_parameters():
    assert parameters(DenseSubnetwork(16, 6, 1.0)) == 28_252_203


def test_affine_subnetwork_of_rcn_has_its_parameters():
    assert parameters(AffineSubnetwork((128, 128, 128), 16, 6)) == 14_166_288


def test_cascade_config_defaults_are_the_papers():
    config = CascadeConfig()
    assert (config.stages, config.shape, config.channels) == (
        "ADDD",
        (128, 128, 128),
        16,
    )
    assert (config.halvings, config.affine_halvings) == (6, 5)
    assert config.stage_names == ("affine", "dense 1", "dense 2", "dense 3")


def test_encoder_follows_figure_4():
    pair = torch.zeros(1, 1, 128, 128, 128)
    subnetwork = AffineSubnetwork((128, 128, 128), 16, 5)
    assert shapes_of(subnetwork, {"LinearConvolution"}, pair, pair) == [
        (16, 64),  # conv1
        (32, 32),  # conv2
        (64, 16),  # conv3
        (64, 16),  # conv3_1
        (128, 8),  # conv4
        (128, 8),  # conv4_1
        (256, 4),  # conv5
        (256, 4),  # conv5_1
    ]


def test_decoder_follows_figure_5():
    pair = torch.zeros(1, 1, 64, 64, 64)  # half of 128 in channels and sides
    subnetwork = DenseSubnetwork(8, 6, 1.0)
    joined = shapes_of(subnetwork, {"RefinementStep"}, pair, pair)
    assert joined == [(259, 2), (131, 4), (67, 8), (35, 16), (19, 32)]
    full = [
        step.feature_upsampling.weight.shape[1]
        for step in DenseSubnetwork(16, 6, 1.0).steps
    ]
    assert full == [512, 515, 259, 131, 67]


@pytest.mark.parametrize("stages", ["A", "D", "AD", "DD", "ADDDDD"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_cascade_starts_from_the_identity(stages, channels):
    network = VolumeTweeningNetwork(CascadeConfig(stages, (8, 16, 24), channels))
    fixed, moving = torch.rand(2, 2, 1, 8, 16, 24)
    tweening = network(fixed, moving)
    assert torch.equal(tweening.flow, torch.zeros(2, 3, 8, 16, 24))
    torch.testing.assert_close(tweening.moved, moving)
    assert len(tweening.stages) == len(stages)


def test_stages_compose_as_the_paper_says():
    network = randomized(VolumeTweeningNetwork(CascadeConfig("ADD", (16, 16, 16), 4)))
    fixed, moving = torch.rand(2, 1, 1, 16, 16, 16)
    affine, first, second = network(fixed, moving).stages
    expected = affine_flow(*affine.parts[:2], (16, 16, 16))
    torch.testing.assert_close(affine.flow, expected)
    assert torch.equal(network.dense[0](fixed, affine.moved), first.own_flow)
    assert torch.equal(network.dense[1](fixed, first.moved), second.own_flow)
    torch.testing.assert_close(
        second.parts.dense_flow, compose(first.own_flow, second.own_flow)
    )
    for stage in (affine, first, second):
        assert torch.equal(stage.moved, warp(moving, stage.flow))
    assert second.flow.abs().max() > 0.1


def test_gradients_reach_every_parameter():
    network = randomized(VolumeTweeningNetwork(CascadeConfig("ADD", (16, 16, 16), 2)))
    tweening = network(torch.rand(1, 1, 16, 16, 16), torch.rand(1, 1, 16, 16, 16))
    tweening.moved.square().sum().backward()
    without = [
        n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert without == []


@pytest.mark.parametrize("name", ["channels", "levels", "affine_levels"])
def test_numbers_below_1_are_refused(name):
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
        CascadeConfig(**{name: 0})


@pytest.mark.parametrize("stages", ["", "DA", "AA", "ADX", "a"])
def test_other_cascade_names_are_refused(stages):
    with pytest.raises(ValueError, match="at most one A"):
        CascadeConfig(stages)


def test_a_shape_that_cannot_be_halved_names_the_nearest_that_can():
    with pytest.raises(ValueError, match=r"nearest legal shape is \(96, 104, 128\)"):
        CascadeConfig("D", (97, 103, 128))


def test_dense_subnetwork_refuses_other_sides_but_takes_other_legal_shapes():
    subnetwork = DenseSubnetwork(2, 4, 1.0)
    assert subnetwork(*torch.zeros(2, 1, 1, 32, 16, 48)).shape == (1, 3, 32, 16, 48)
    with pytest.raises(ValueError, match=r"nearest legal shape is \(16, 32, 16\)"):
        subnetwork(*torch.zeros(2, 1, 1, 20, 30, 10))


def test_affine_subnetwork_says_that_its_shape_is_fixed():
    subnetwork = AffineSubnetwork((16, 16, 16), 2, 3)
    with pytest.raises(ValueError, match=r"built for images of \(16, 16, 16\)"):
        subnetwork(*torch.zeros(2, 1, 1, 24, 16, 16))


@pytest.mark.parametrize(
    ("fixed", "moving"),
    [
        ((1, 1, 16, 16, 16), (1, 1, 16, 16, 8)),
        ((1, 2, 16, 16, 16), (1, 2, 16, 16, 16)),
        ((1, 16, 16, 16), (1, 16, 16, 16)),
    ],
)
def test_images_that_are_not_pairs_are_refused(fixed, moving):
    with pytest.raises(ValueError, match=r"must both have shape \(B, 1, I, J, K\)"):
        check_pair(torch.zeros(fixed), torch.zeros(moving))


def losses_and_gradients(network, fixed, moving):
    loss = network(fixed, moving).moved.square().sum()
    loss.backward()
    gradients = {n: p.grad for n, p in network.named_parameters()}
    network.zero_grad()
    return loss.detach(), gradients


def test_recomputed_features_change_nothing():
    network = randomized(VolumeTweeningNetwork(CascadeConfig("ADD", (16, 16, 16), 2)))
    pair = torch.rand(2, 2, 1, 16, 16, 16)
    loss, gradients = losses_and_gradients(network, *pair)
    network.recomputes_features = True
    again, recomputed = losses_and_gradients(network, *pair)
    assert torch.equal(again, loss)
    assert all(torch.equal(recomputed[name], gradients[name]) for name in gradients)


def test_half_precision_keeps_flows_and_affine_numbers_single():
    network = randomized(VolumeTweeningNetwork(CascadeConfig("AD", (16, 16, 16), 2)))
    fixed, moving = torch.rand(2, 1, 1, 16, 16, 16)
    expected = network(fixed, moving)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        tweening = network(fixed, moving)
    for stage in tweening.stages:
        for tensor in (stage.parts.matrix, stage.flow, stage.moved):
            assert tensor.dtype == torch.float32
    difference = (tweening.flow - expected.flow).abs().mean()
    assert 0 < difference < 0.02 * expected.flow.abs().mean()
    tweening.moved.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in network.parameters())

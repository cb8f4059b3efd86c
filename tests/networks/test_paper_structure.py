"""Sentences of the paper on the network's structure (sections III-B, IV-A, IV-B)."""

import math

import pytest
import torch
from torch import nn

from support.tensors import random_volumes
from voltween.losses import correlation_loss
from voltween.networks import (
    AffineSubnetwork,
    CascadeConfig,
    DenseSubnetwork,
    VolumeTweeningNetwork,
)
from voltween.networks.blocks import LinearConvolution
from voltween.networks.upsampling import Upsampling

CUBE = (16, 16, 16)


def images():
    return random_volumes(2, (1, 1, *CUBE), torch.float32)


def random_cascade(stages):
    """A cascade whose last layers are not 0, so that it moves the image."""
    torch.manual_seed(0)
    network = VolumeTweeningNetwork(CascadeConfig(stages, CUBE, 2))
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(("head.weight", "flow.weight")):
                weight.normal_(0, 0.1)
    return network


def test_dense_subnetworks_share_their_structure_but_no_weights():
    first, second, third = VolumeTweeningNetwork(CascadeConfig("ADDD", CUBE, 2)).dense
    shapes = [
        {name: weight.shape for name, weight in dense.named_parameters()}
        for dense in (first, second, third)
    ]
    assert shapes[0] == shapes[1] == shapes[2]
    weights = {id(w) for dense in (first, second, third) for w in dense.parameters()}
    assert len(weights) == sum(map(len, shapes))


def test_the_second_loss_reaches_the_first_subnetwork():
    # Figure 2: the first warped image is a differentiable function of it.
    network = random_cascade("DD")
    fixed, moving = images()
    first, second = network(fixed, moving).stages
    weight = network.dense[0].flow.weight
    (by_both,) = torch.autograd.grad(
        correlation_loss(fixed, second.moved), weight, retain_graph=True
    )
    (by_first,) = torch.autograd.grad(correlation_loss(fixed, first.moved), weight)
    assert by_both.any()
    assert by_first.any()
    assert not torch.allclose(by_both, by_first, rtol=1e-3)


def test_a_subnetwork_sees_the_fixed_and_the_current_moving_image_alone():
    network = random_cascade("ADD")
    for subnetwork in (network.affine, *network.dense):
        assert subnetwork.encoder.levels[0][0][0].weight.shape[1] == 2


def test_layers_are_convolutions_and_leaky_rectifiers_of_slope_0_1():
    network = VolumeTweeningNetwork(CascadeConfig("AD", CUBE, 2))
    leaves = [module for module in network.modules() if not [*module.children()]]
    kinds = {type(module) for module in leaves}
    assert kinds == {LinearConvolution, Upsampling, nn.LeakyReLU, nn.Linear}
    for module in leaves:
        if isinstance(module, nn.LeakyReLU):
            assert module.negative_slope == 0.1
        if isinstance(module, LinearConvolution):
            assert module.kernel_size == (3, 3, 3)
            assert module.bias is not None


def test_the_affine_subnetwork_ends_in_twelve_numbers_of_its_last_features():
    subnetwork = AffineSubnetwork((128, 128, 128), 16, 5)
    assert subnetwork.head.weight.shape == (12, 256 * 4**3)
    assert subnetwork.head.bias is None


@pytest.mark.parametrize("levels", [3, 6])
def test_initial_weights_are_those_of_the_authors_code(levels):
    torch.manual_seed(0)
    network = DenseSubnetwork(4, levels, 1.0)
    assert not network.flow.weight.any()
    for layer in network.modules():
        if isinstance(layer, LinearConvolution):
            bound = math.sqrt(3 / (27 * layer.in_channels))
            assert not layer.bias.any()
        elif isinstance(layer, Upsampling) and layer is not network.flow:
            outputs = layer.weight.shape[0] // 8  # eight phases
            bound = math.sqrt(3 / (4**3 * outputs))
        else:
            continue
        largest = layer.weight.abs().max().item()
        assert 0.8 * bound < largest <= bound

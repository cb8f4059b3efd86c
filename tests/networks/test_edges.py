"""Edges: those of any contrast of an image are the same."""

import numpy as np
import pytest
import torch
from scipy.ndimage import generic_filter

from voltween.errors import InputError
from voltween.networks import CascadeConfig, VolumeTweeningNetwork, optimize
from voltween.networks.edges import check_sight, edges
from voltween.networks.kinds import config_facts, config_from_facts, weights_for

SHAPE = (16, 16, 16)


def cascade(sees):
    """A cascade of random weights whose flows are some voxels long."""
    torch.manual_seed(0)
    network = VolumeTweeningNetwork(CascadeConfig("ADD", SHAPE, 4, sees=sees))
    with torch.no_grad():
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.3)
    return network.eval()


def pair():
    torch.manual_seed(1)
    return torch.rand(2, 1, 1, *SHAPE)


def test_edges_are_the_spread_of_the_neighborhood():
    image = torch.rand(1, 1, 5, 6, 7)
    spread = generic_filter(image[0, 0].double().numpy(), np.std, 3)[1:-1, 1:-1, 1:-1]
    found = edges(image)[0, 0, 1:-1, 1:-1, 1:-1].numpy()
    np.testing.assert_allclose(found, spread / (spread + 0.04), atol=1e-5)


def test_beyond_the_border_is_nothing():
    image = torch.rand(1, 1, 4, 4, 4)
    spread = image[..., :2, :2, :2].std(correction=0)  # all that a corner has around it
    torch.testing.assert_close(edges(image)[0, 0, 0, 0, 0], spread / (spread + 0.04))


def test_a_flat_image_has_none_and_a_gradient():
    image = torch.full((1, 1, 4, 4, 4), 0.7, requires_grad=True)
    found = edges(image)
    assert found.max() < 0.03
    found.sum().backward()
    assert image.grad.isfinite().all()


def test_who_sees_edges_finds_the_same_flow_in_the_negative():
    fixed, moving = pair()
    network = cascade("edges")
    with torch.no_grad():
        flows = [network(fixed, m).flow for m in (moving, 1 - moving)]
        others = [cascade("intensities")(fixed, m).flow for m in (moving, 1 - moving)]
    torch.testing.assert_close(flows[0], flows[1], atol=1e-3, rtol=1e-3)
    assert (others[0] - others[1]).abs().max() > 0.1
    assert flows[0].abs().max() > 0.5


def test_tweening_frames_are_intensities_all_the_same():
    fixed, moving = pair()
    moved = cascade("edges")(fixed, moving).stages[0].moved
    assert moved.max() <= moving.max()
    assert (moved - edges(moving)).abs().mean() > 0.05


def test_fast_inference_sees_edges_too():
    fixed, moving = pair()
    network = cascade("edges")
    with torch.no_grad():
        expected = network(fixed, moving).flow
    torch.testing.assert_close(
        optimize(network, "fp32")(fixed, moving).flow, expected, atol=1e-3, rtol=1e-3
    )


def test_what_a_network_sees_is_in_its_file_and_may_change_at_a_new_start():
    config = CascadeConfig("ADD", SHAPE, 4, sees="edges")
    assert config_from_facts(config_facts(config)) == config
    state = weights_for(config, cascade("intensities"))
    VolumeTweeningNetwork(config).load_state_dict(state)


def test_another_sight_is_refused():
    with pytest.raises(InputError, match="'intensities' or 'edges', got colors"):
        check_sight("colors")

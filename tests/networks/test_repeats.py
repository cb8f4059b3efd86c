"""Dense subnetworks that are applied several times with the same weights."""

import pytest
import torch

from voltween.errors import InputError
from voltween.networks import (
    CascadeConfig,
    VolumeTweeningNetwork,
    build,
    config_facts,
    config_from_facts,
    optimize,
    weights_for,
)

SHAPE = (16, 16, 32)


def network_of(stages="ADD", repeats=2):
    torch.manual_seed(0)
    config = CascadeConfig(stages, SHAPE, channels=4, repeats=repeats)
    network = VolumeTweeningNetwork(config)
    with torch.no_grad():
        if network.affine is not None:
            network.affine.head.weight.normal_(0, 0.2)
        for dense in network.dense:
            dense.flow.weight.normal_(0, 0.2)
    return network


def unrolled(network):
    """The network with a copy of each dense subnetwork in place of a further pass."""
    config, repeats = network.config, network.config.repeats
    stages = config.stages.replace("D", "D" * repeats)
    result = VolumeTweeningNetwork(CascadeConfig(stages, SHAPE, channels=4))
    if network.affine is not None:
        result.affine.load_state_dict(network.affine.state_dict())
    for number, dense in enumerate(result.dense):
        dense.load_state_dict(network.dense[number // repeats].state_dict())
    return result


def pair():
    return torch.rand(2, 1, 1, *SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stages", ["A", "DD", "ADD"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_each_subnetwork_is_applied_in_a_row_and_then_the_next(stages, repeats):
    network = network_of(stages, repeats)
    ours, expected = network(*pair()), unrolled(network)(*pair())
    assert len(ours.stages) == len(expected.stages)
    for stage, other in zip(ours.stages, expected.stages, strict=True):
        assert torch.equal(stage.own_flow, other.own_flow)
        assert torch.equal(stage.flow, other.flow)
        assert torch.equal(stage.moved, other.moved)


def test_every_pass_is_a_stage_with_a_name():
    config = CascadeConfig("ADD", SHAPE, repeats=2)
    names = (
        "affine",
        "dense 1 pass 1",
        "dense 1 pass 2",
        "dense 2 pass 1",
        "dense 2 pass 2",
    )
    assert config.stage_names == names
    assert config.title == "ADD of 2 passes"
    assert tuple(stage.name for stage in network_of()(*pair()).stages) == names


def test_weights_are_stored_once_per_subnetwork():
    one, three = network_of(repeats=1), network_of(repeats=3)
    assert one.state_dict().keys() == three.state_dict().keys()
    three.load_state_dict(one.state_dict())
    assert len(list(three.parameters())) == len(list(one.parameters()))


def test_gradients_are_summed_over_passes():
    network = network_of("D", 2)
    copies = unrolled(network)
    network(*pair()).flow.square().mean().backward()
    copies(*pair()).flow.square().mean().backward()
    ours = network.dense[0].flow.weight.grad
    theirs = [dense.flow.weight.grad for dense in copies.dense]
    assert all(gradient.abs().max() > 0 for gradient in theirs)
    torch.testing.assert_close(ours, sum(theirs), atol=1e-6, rtol=1e-4)


def test_recomputed_features_give_the_same_gradients():
    kept, recomputed = network_of(), network_of()
    recomputed.recomputes_features = True
    for network in (kept, recomputed):
        network(*pair()).flow.square().mean().backward()
    for ours, theirs in zip(recomputed.parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_fast_inference_repeats_too():
    network = network_of()
    result = optimize(network, "fp32")(*pair())
    expected = network(*pair())
    assert len(result.stages) == 5
    torch.testing.assert_close(result.flow, expected.flow, atol=1e-4, rtol=0)


def test_facts_without_the_new_fields_are_of_a_plain_cascade():
    facts = config_facts(CascadeConfig("ADD", SHAPE))
    del facts["cascade"]["repeats"], facts["cascade"]["padding"]
    assert config_from_facts(facts) == CascadeConfig("ADD", SHAPE)
    repeated = CascadeConfig("ADD", SHAPE, repeats=2, padding="same-tf")
    assert config_from_facts(config_facts(repeated)) == repeated


def test_weights_fit_networks_that_repeat_equally_often():
    network = network_of()
    same = CascadeConfig("ADD", SHAPE, channels=4, repeats=2, flow_multiplier=4.0)
    rescaled = build(same)
    rescaled.load_state_dict(weights_for(same, network))
    flow = rescaled(*pair()).flow
    torch.testing.assert_close(flow, network(*pair()).flow, atol=1e-5, rtol=0)
    once = CascadeConfig("ADD", SHAPE, channels=4)
    assert weights_for(once, network) is None  # its flows would be others


def test_fewer_than_one_pass_is_refused():
    with pytest.raises(InputError, match="repeats: expected at least 1, got 0"):
        CascadeConfig(repeats=0)

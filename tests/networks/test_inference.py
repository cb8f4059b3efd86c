"""The optimized network against the network itself."""

import pytest
import torch
from torch.nn.functional import interpolate

from support.tensors import random_numbers
from voltween.models import load_model, shipped_models
from voltween.networks import (
    CascadeConfig,
    VolumeTweeningNetwork,
    faster_layer,
    has_fast_bf16,
    inference,
    optimize,
    pack,
)
from voltween.networks.inference import PackedConvolution, check_precision
from voltween.networks.upsampling import Upsampling

SHAPE = (32, 16, 48)


def network(stages="ADD", shape=SHAPE):
    torch.manual_seed(0)
    result = VolumeTweeningNetwork(CascadeConfig(stages, shape, channels=4))
    with torch.no_grad():
        if result.affine is not None:
            result.affine.head.weight.normal_(0, 0.2)
        for dense in result.dense:
            dense.flow.weight.normal_(0, 0.2)
    return result


def pair(shape=SHAPE, batch=1):
    return torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(1))


def smooth_pair(shape):
    generator = torch.Generator().manual_seed(2)
    coarse = torch.rand(2, 1, 1, 6, 6, 6, generator=generator)
    return [interpolate(numbers, shape, mode="trilinear") for numbers in coarse]


def flows(tweening):
    return [stage.flow for stage in tweening.stages]


@pytest.mark.parametrize("stages", ["A", "D", "ADD"])
@pytest.mark.parametrize("batch", [1, 3])
def test_single_precision_differs_by_rounding_alone(stages, batch):
    plain = network(stages)
    fast = optimize(plain, "fp32")
    fixed, moving = pair(batch=batch)
    expected, result = plain(fixed, moving), fast(fixed, moving)
    assert expected.flow.abs().max() > 0.3
    for ours, theirs in zip(flows(result), flows(expected), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    torch.testing.assert_close(result.moved, expected.moved, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", [name for name, _ in shipped_models()])
def test_flows_of_the_shipped_models_are_equal(name):
    plain = load_model(name).network
    fixed, moving = (image.contiguous() for image in smooth_pair(plain.config.shape))
    with torch.inference_mode():
        expected, result = plain(fixed, moving), optimize(plain, "fp32")(fixed, moving)
    assert expected.flow.abs().max() > 0.3
    # Where an image is flat, its edges are a difference that is rounded.
    tolerance = 5e-3 if plain.config.sees == "edges" else 1e-3
    torch.testing.assert_close(result.flow, expected.flow, atol=tolerance, rtol=0)


def test_later_images_of_another_size_are_right_too():
    plain = network("DD")
    fast = optimize(plain, "fp32")
    for shape in (SHAPE, (16, 32, 16), SHAPE):
        fixed, moving = pair(shape)
        torch.testing.assert_close(
            fast(fixed, moving).flow, plain(fixed, moving).flow, atol=1e-4, rtol=0
        )


def test_results_of_earlier_calls_stay_as_they_are():
    fast = optimize(network(), "fp32")
    first = fast(*pair())
    before = first.flow.clone()
    fast(*pair().flip(0))
    assert torch.equal(first.flow, before)


def test_without_packing_the_result_is_the_same(monkeypatch):
    monkeypatch.setattr(inference, "_can_pack", lambda dtype: False)
    plain = network()
    torch.testing.assert_close(
        optimize(plain, "fp32")(*pair()).flow, plain(*pair()).flow, atol=1e-4, rtol=0
    )


def test_half_precision_is_near_and_flows_are_single():
    # bfloat16 has 8 bits: features to half a percent.
    plain = network()
    expected, rounded = plain(*pair()).flow, optimize(plain, "bf16")(*pair()).flow
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - expected).abs().mean() < 0.02 * expected.abs().mean()


@pytest.mark.parametrize("chosen", ["bf16", "fp32"])
def test_auto_takes_what_is_measured_to_be_faster(chosen, monkeypatch):
    monkeypatch.setattr(faster_layer, "decide", lambda title, measure, names: chosen)
    if not has_fast_bf16():  # nothing is measured
        chosen = "fp32"
    plain = network()
    assert torch.equal(
        optimize(plain)(*pair()).flow, optimize(plain, chosen)(*pair()).flow
    )


def test_the_network_itself_stays_as_it_was():
    plain = network()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    optimize(plain, "bf16")(*pair())
    after = plain.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(isinstance(m, PackedConvolution) for m in plain.modules())


def test_every_convolution_is_packed():
    modules = list(pack(network()).modules())
    assert not any(isinstance(m, torch.nn.Conv3d | Upsampling) for m in modules)
    assert sum(isinstance(m, PackedConvolution) for m in modules) > 10


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match="'fp32', 'bf16' or 'auto', got 'fp8'"):
        check_precision("fp8")


@pytest.mark.parametrize("is_packed", [True, False])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_one_voxel_in_half_precision(channels, size, is_packed, monkeypatch):
    if not is_packed or not has_fast_bf16():
        monkeypatch.setattr(inference, "_can_pack", lambda dtype: False)
    weight = random_numbers(16, channels, size, size, size).float()
    layer = PackedConvolution(weight, None, dtype=torch.bfloat16)
    voxel = random_numbers(1, channels, 1, 1, 1, seed=1).float()
    expected = torch.nn.functional.conv3d(
        voxel.bfloat16().float(), weight.bfloat16().float(), padding=1
    )
    for _ in range(3):
        torch.full((1 << 16,), 3e38)  # what memory holds before it is used again
        with torch.inference_mode():
            result = layer(voxel)
        torch.testing.assert_close(result.float(), expected, atol=0.02, rtol=0.02)

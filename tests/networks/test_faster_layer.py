"""Layers in single precision or bfloat16: each in the form that is faster."""

import json

import pytest
import torch
from tests.networks.test_inference import network, pair

from voltween.networks import inference, optimize
from voltween.networks.faster_layer import FasterLayer
from voltween.networks.inference import PackedConvolution
from voltween.ops import kernel_choice, kernel_choices


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, on a processor that multiplies bfloat16 matrices."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel_choice, "_in_use", {})
    monkeypatch.setattr(inference, "has_fast_bf16", lambda: True)
    # oneDNN's own layouts of bfloat16 are for such processors alone.
    monkeypatch.setattr(inference, "_can_pack", lambda dtype: dtype == torch.float32)
    return tmp_path / "voltween" / "kernels"


def let_trials_take(monkeypatch, seconds):
    """Replaces the trials by `seconds(features)`, of single precision and bfloat16."""

    def of_layer(self, x):
        return dict(zip(("fp32", "bf16"), seconds(x), strict=True))

    monkeypatch.setattr(FasterLayer, "_seconds", of_layer)


def precisions():
    """The precision of every layer that was tried, by layer."""
    choices = kernel_choices().items()
    return {name: kept for name, kept in choices if name.startswith("convolution")}


@pytest.mark.parametrize(("precision", "seconds"), [("fp32", (1, 2)), ("bf16", (2, 1))])
def test_the_faster_precision_is_taken(cache, monkeypatch, precision, seconds):
    let_trials_take(monkeypatch, lambda x: seconds)
    plain = network()
    result = optimize(plain, "auto")(*pair()).flow
    assert torch.equal(result, optimize(plain, precision)(*pair()).flow)
    assert set(precisions().values()) == {precision}


@pytest.mark.parametrize("is_half_for_many", [True, False])
def test_layers_of_both_precisions_work_together(cache, monkeypatch, is_half_for_many):
    # Minimal filtering in single precision joins features of bfloat16, and vice versa.
    def seconds(x):
        return (2, 1) if (x.shape[1] > 8) == is_half_for_many else (1, 2)

    let_trials_take(monkeypatch, seconds)
    plain = network("ADD", (64, 64, 64))
    images = pair((64, 64, 64))
    expected, result = plain(*images).flow, optimize(plain, "auto")(*images).flow
    assert set(precisions().values()) == {"fp32", "bf16"}
    assert result.dtype == torch.float32
    # bfloat16 has 8 bits: features to half a percent.
    assert 0 < (result - expected).abs().mean() < 0.02 * expected.abs().mean()


def test_trials_are_kept_for_later_processes(cache, monkeypatch):
    plain = network()
    first = optimize(plain, "auto")(*pair()).flow
    kept = json.loads(next(iter(cache.iterdir())).read_text())["choices"]
    assert kept.items() >= precisions().items()
    assert "convolution 3^3, stride 2, 2 to 4 channels, 1 x 32 x 16 x 48" in str(
        precisions()
    )

    def fail(self, x):
        raise AssertionError("tried again")

    monkeypatch.setattr(FasterLayer, "_seconds", fail)
    assert torch.equal(optimize(plain, "auto")(*pair()).flow, first)


def test_only_the_form_in_use_stays_in_memory(cache):
    plain = network("D")
    fast = inference.pack(plain, "auto")
    fast(*pair())
    for layer in fast.modules():
        if isinstance(layer, FasterLayer):
            assert len(layer._forms) == 1
            assert isinstance(layer._fastest, PackedConvolution)


def test_without_fast_bfloat16_nothing_is_tried(cache, monkeypatch):
    monkeypatch.setattr(inference, "has_fast_bf16", lambda: False)
    plain = network()
    result = optimize(plain, "auto")(*pair()).flow
    assert torch.equal(result, optimize(plain, "fp32")(*pair()).flow)
    assert not precisions()

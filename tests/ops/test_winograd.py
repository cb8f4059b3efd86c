"""Minimal filtering against the convolution itself, in float64."""

import os
import subprocess
import sys

import pytest
import torch

from support.native import compiled
from voltween.ops import interleave, join, winograd_convolution

_native = compiled("ops")
pytestmark = pytest.mark.skipif(
    _native.winograd_panel(16) == 0, reason="this instruction set has no vectors"
)

# Channels in, channels out and taps of layers of the shipped models and of the paper's.
LAYERS = [
    (35, 24, 2),  # flow: F(3, 2)
    (67, 128, 2),  # last step of the decoder
    (19, 24, 2),
    (35, 64, 2),
    (131, 256, 2),  # F(2, 2)
    (32, 32, 3),
    (64, 64, 3),
    (5, 17, 2),  # neither a full vector in nor out
    (1, 40, 3),
    (67, 3, 3),  # prediction: a single vector of columns
    (3, 24, 2),
]


def layer(channels, outputs, taps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scale = (channels * taps**3) ** -0.5
    weight = scale * torch.randn(
        outputs, channels, taps, taps, taps, generator=generator
    )
    return weight, torch.randn(outputs, generator=generator)


def features(channels, shape, batch=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, channels, *shape, generator=generator)


def exact(x, weight, bias, leak):
    bias = None if bias is None else bias.double()
    direct = torch.nn.functional.conv3d(x.double(), weight.double(), bias, padding=1)
    return torch.nn.functional.leaky_relu(direct, leak)


@pytest.mark.parametrize(("channels", "outputs", "taps"), LAYERS)
@pytest.mark.parametrize(("shape", "batch"), [((11, 7, 9), 1), ((10, 8, 12), 2)])
def test_the_result_is_the_convolution_to_rounding(
    channels, outputs, taps, shape, batch
):
    weight, bias = layer(channels, outputs, taps)
    x = features(channels, shape, batch)
    # The layer is packed for features for which it pays.
    convolve = winograd_convolution(weight, bias, (1, channels, 64, 64, 64))
    result = convolve(x, 0.1)
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    # The results are about 1, and rounded to 6e-8.
    torch.testing.assert_close(
        result.double(), exact(x, weight, bias, 0.1), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("channels", "outputs", "taps"), LAYERS)
@pytest.mark.parametrize("padding", [0, 2])
def test_other_paddings_are_right(channels, outputs, taps, padding):
    weight, bias = layer(channels, outputs, taps)
    x = features(channels, (5, 9, 7))
    convolve = winograd_convolution(weight, bias, (1, channels, 64, 64, 64), padding)
    direct = torch.nn.functional.conv3d(
        x.double(), weight.double(), bias.double(), padding=padding
    )
    torch.testing.assert_close(convolve(x).double(), direct, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(5, 8, 7), (1, 1, 2)])
@pytest.mark.parametrize(("channels", "outputs"), [(67, 16), (131, 32), (19, 5)])
def test_features_are_joined_as_their_phases_are(channels, outputs, shape):
    weight, _ = layer(channels, 8 * outputs, 2)
    convolve = winograd_convolution(weight, None, (1, channels, 64, 64, 64))
    x, skip = features(channels, shape, 2), features(6, [2 * n for n in shape], 2)
    prediction = features(24, [n + 1 for n in shape], 2)
    result = convolve.join(x, skip, prediction, 0.1)
    expected = join(skip, convolve(x), prediction, 0.1)
    assert torch.equal(result, expected)
    assert result.is_contiguous(memory_format=torch.channels_last_3d)
    with pytest.raises(ValueError, match=r"prediction must have shape \(2, 24,"):
        convolve.join(x, skip, prediction[:, :, 1:], 0.1)


@pytest.mark.parametrize("shape", [(5, 8, 7), (1, 1, 2), (3, 6, 9)])
def test_a_flow_is_interleaved_as_its_phases_are(shape):
    weight, _ = layer(35, 24, 2)
    convolve = winograd_convolution(weight, None, (1, 35, 64, 64, 64))
    x = features(35, shape, 2)
    assert torch.equal(convolve.flow(x, 3.0), interleave(convolve(x), 3.0))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_few_channels_are_interleaved_as_their_phases_are(channels):
    weight, _ = layer(16, 8 * channels, 2)
    convolve = winograd_convolution(weight, None, (1, 16, 64, 64, 64))
    x = features(16, (5, 8, 7), 2)
    phases = convolve(x).unflatten(1, (8, channels))
    result = convolve.interleaved(x, 2.0)
    for number in range(8):
        i, j, k = number >> 2 & 1, number >> 1 & 1, number & 1
        placed = result[:, :, i::2, j::2, k::2]
        inside = phases[:, number, :, i : i + 5, j : j + 8, k : k + 7]
        torch.testing.assert_close(placed, 2 * inside, atol=0, rtol=0)


def test_more_channels_are_not_interleaved():
    weight, _ = layer(16, 32, 2)
    convolve = winograd_convolution(weight, None, (1, 16, 64, 64, 64))
    with pytest.raises(ValueError, match=r"8, 16 or 24 outputs.*got 32, 2 and 1"):
        convolve.interleaved(features(16, (4, 4, 4)))


def test_a_flow_has_24_phases():
    weight, _ = layer(16, 40, 2)
    convolve = winograd_convolution(weight, None, (1, 16, 64, 64, 64))
    with pytest.raises(
        ValueError, match="24 outputs, 2 taps and padding 1, got 40, 2 and 1"
    ):
        convolve.flow(features(16, (4, 4, 4)), 1.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 5), (3, 1, 40)])
def test_thin_grids_are_right(shape):
    weight, _ = layer(5, 24, 2)
    x = features(5, shape)
    result = winograd_convolution(weight, None, (1, 5, 64, 64, 64))(x)
    torch.testing.assert_close(
        result.double(), exact(x, weight, None, 1.0), atol=1e-5, rtol=0
    )


def test_features_in_another_layout_of_memory_are_right():
    weight, bias = layer(16, 16, 3)
    x = features(16, (6, 7, 8)).transpose(2, 4)
    result = winograd_convolution(weight, bias, (1, 16, 64, 64, 64))(x)
    torch.testing.assert_close(
        result.double(), exact(x, weight, bias, 1.0), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("channels", "outputs", "taps"), LAYERS[:5])
def test_the_number_of_threads_does_not_change_a_byte(channels, outputs, taps):
    weight, bias = layer(channels, outputs, taps)
    convolve = winograd_convolution(weight, bias, (1, channels, 64, 64, 64))
    x = features(channels, (13, 12, 11))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(convolve(x))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_numbers_that_are_none_stay_in_their_tile():
    weight, _ = layer(16, 24, 2)
    x = features(16, (12, 12, 12))
    x[0, 3, 0, 0, 0] = torch.nan
    result = winograd_convolution(weight, None, (1, 16, 64, 64, 64))(x)
    assert result[0, :, :2, :2, :2].isnan().all()
    assert not result[0, :, 3:].isnan().any()


@pytest.mark.parametrize(
    ("channels", "outputs", "shape"),
    [
        (259, 512, (8, 8, 8)),  # more weights than time to read them
        (35, 24, (4, 4, 4)),  # too few tiles
    ],
)
def test_layers_that_do_not_gain_are_left_alone(channels, outputs, shape):
    weight, bias = layer(channels, outputs, 2)
    assert winograd_convolution(weight, bias, (1, channels, *shape)) is None


def test_other_precisions_are_left_alone():
    weight, bias = layer(16, 24, 2)
    shape = (1, 16, 64, 64, 64)
    assert winograd_convolution(weight.double(), bias.double(), shape) is None
    with pytest.raises(ValueError, match=r"\(B, 16, I, J, K\).*float64"):
        winograd_convolution(weight, bias, shape)(features(16, (5, 5, 5)).double())


def test_without_vectors_every_layer_is_left_alone():
    code = (
        "import torch; from voltween.ops import winograd_convolution as w; "
        "print(w(torch.ones(24, 16, 2, 2, 2), None, (1, 16, 64, 64, 64)))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"VOLTWEEN_INSTRUCTIONS": "plain"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.strip() == "None"

"""TensorFlow's SAME padding in the strided convolutions, against its own formula."""

import numpy as np
import pytest
import torch

from voltween.errors import InputError
from voltween.networks import (
    CascadeConfig,
    VolumeTweeningNetwork,
    inference,
    optimize,
    pack,
)
from voltween.networks.blocks import Encoder, LinearConvolution
from voltween.networks.convolution import check_padding, pad_as_tf


def same_convolution(x, weight, bias, stride):
    """TensorFlow's definition in float64: sums over the taps of a padded array.

    The number of outputs along an axis is ceil(n / stride). The zeros that this takes
    are max((outputs - 1) * stride + size - n, 0), the smaller half of them in front.
    """
    outputs = [-(-n // stride) for n in x.shape[2:]]
    margins = []
    for side, count in zip(x.shape[2:], outputs, strict=True):
        zeros = max((count - 1) * stride + 3 - side, 0)
        margins.append((zeros // 2, zeros - zeros // 2))
    padded = np.pad(x, [(0, 0), (0, 0), *margins])
    result = np.zeros((len(x), len(weight), *outputs)) + bias[:, None, None, None]
    for tap in np.ndindex(3, 3, 3):
        at = tuple(
            slice(t, t + stride * (n - 1) + 1, stride)
            for t, n in zip(tap, outputs, strict=True)
        )
        result += np.einsum("oc,bcijk->boijk", weight[:, :, *tap], padded[:, :, *at])
    return result


def layer_of(inputs, outputs, stride, padding="same-tf"):
    torch.manual_seed(0)
    layer = LinearConvolution(inputs, outputs, stride, padding)
    torch.nn.init.normal_(layer.bias)
    return layer


# One shape for every way of convolving: matrices, oneDNN, PyTorch's choice; odd sides.
SHAPES = {
    "matrices": (2, 6, 8, (8, 4, 6)),
    "oneDNN": (1, 6, 8, (16, 12, 14)),
    "pairs": (3, 6, 8, (16, 12, 14)),
    "few channels": (2, 2, 3, (16, 12, 14)),
    "odd": (1, 4, 5, (7, 13, 15)),
    "even and odd": (2, 4, 5, (16, 13, 11)),
    "one voxel": (1, 4, 5, (2, 1, 2)),
}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("case", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("is_packed", [False, True])
def test_values_are_those_of_the_formula(case, stride, is_packed):
    batch, inputs, outputs, shape = case
    layer = layer_of(inputs, outputs, stride)
    x = torch.randn(batch, inputs, *shape)
    expected = same_convolution(
        x.double().numpy(),
        layer.weight.detach().double().numpy(),
        layer.bias.detach().double().numpy(),
        stride,
    )
    with torch.no_grad():
        result = (pack(layer) if is_packed else layer)(x)
    np.testing.assert_allclose(result.double(), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 4, 6), (16, 12, 14), (7, 8, 9)])
def test_gradients_are_those_of_padding_by_hand(shape):
    layer = layer_of(6, 8, stride=2)
    x = torch.randn(1, 6, *shape, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    weight = layer.weight.detach().double().requires_grad_()
    margins = [m for n in reversed(shape) for m in ((0, 1) if n % 2 == 0 else (1, 1))]
    padded = torch.nn.functional.pad(exact, margins)
    expected = torch.nn.functional.conv3d(padded, weight, stride=2)
    result = layer(x)
    weights = torch.randn_like(result)
    ours = torch.autograd.grad(result, (x, layer.weight), weights)
    theirs = torch.autograd.grad(expected, (exact, weight), weights.double())
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our.double(), their, atol=1e-3, rtol=1e-4)


def test_even_sides_get_their_zero_at_the_end():
    ones = torch.ones(1, 1, 4, 5, 6)
    padded = pad_as_tf(ones, stride=2)[0, 0]
    assert padded.shape == (5, 7, 7)
    assert padded[0, 1, 0] == padded[3, 5, 5] == 1
    assert padded[4].sum() == padded[:, 0].sum() == padded[:, 6].sum() == 0


def test_without_a_stride_both_kinds_of_padding_are_one_voxel():
    x = torch.randn(1, 4, 9, 8, 7)
    one, other = layer_of(4, 4, 1), layer_of(4, 4, 1, "symmetric")
    assert torch.equal(one(x), other(x))


def test_only_strided_convolutions_of_the_encoder_differ():
    encoder = Encoder(2, 4, "same-tf")
    strides = {
        layer.stride[0]: layer.is_padded_as_tf
        for layer in encoder.modules()
        if isinstance(layer, LinearConvolution)
    }
    assert strides == {1: False, 2: True}


def cascade_of(padding):
    torch.manual_seed(0)
    config = CascadeConfig("AD", (32, 16, 32), channels=4, padding=padding)
    network = VolumeTweeningNetwork(config)
    with torch.no_grad():
        network.affine.head.weight.normal_(0, 0.2)
        network.dense[0].flow.weight.normal_(0, 0.2)
    return network


@pytest.mark.parametrize("can_pack", [True, False])
def test_fast_inference_pads_as_the_network_does(can_pack, monkeypatch):
    if not can_pack:
        monkeypatch.setattr(inference, "_can_pack", lambda dtype: False)
    network, other = cascade_of("same-tf"), cascade_of("symmetric")
    pair = torch.rand(2, 1, 1, 32, 16, 32)
    result = optimize(network, "fp32")(*pair).flow
    torch.testing.assert_close(result, network(*pair).flow, atol=1e-4, rtol=0)
    assert (result - other(*pair).flow).abs().max() > 0.05


def test_other_paddings_are_refused():
    with pytest.raises(InputError, match="'symmetric' or 'same-tf', got 'valid'"):
        check_padding("valid")

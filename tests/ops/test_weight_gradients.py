"""Our gradients of convolutions' weights against PyTorch's, in float64."""

import pytest
import torch

from support.native import compiled
from voltween.ops import using_instructions, weight_gradient

_native = compiled("ops")
pytestmark = pytest.mark.skipif(
    _native.winograd_panel(16) == 0, reason="this instruction set has no vectors"
)

# Channels in and out, size of the kernel and stride of layers of the networks, and of
# some whose channels fill no vector, or more than one panel.
LAYERS = [
    (35, 24, 2, 1),
    (67, 128, 2, 1),
    (3, 24, 2, 1),
    (1, 1, 2, 1),
    (64, 64, 3, 1),
    (67, 3, 3, 1),
    (5, 17, 3, 1),
    (2, 16, 3, 2),
    (16, 32, 3, 2),
    (20, 70, 3, 2),
    (4, 5, 2, 3),
]
each_layer = pytest.mark.parametrize("layer", LAYERS)


def features_and_gradient(layer, shape, batch=1, padding=1):
    channels, outputs, size, stride = layer
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, *shape, channels, generator=generator)
    sides = [(n + 2 * padding - size) // stride + 1 for n in shape]
    gradient = torch.randn(batch, *sides, outputs, generator=generator)
    return x.permute(0, 4, 1, 2, 3), gradient.permute(0, 4, 1, 2, 3)


def exact(x, gradient, layer, padding=1):
    channels, outputs, size, stride = layer
    weight = torch.zeros(outputs, channels, *(size,) * 3).double().requires_grad_()
    result = torch.nn.functional.conv3d(
        x.double(), weight, None, stride, padding=padding
    )
    return torch.autograd.grad(result, weight, gradient.double())[0]


def check(result, expected):
    # Sums of products of both signs, each rounded to 6e-8 of the largest.
    assert (result - expected).abs().max() < 4e-6 * expected.abs().max()


@each_layer
@pytest.mark.parametrize(("shape", "batch"), [((11, 7, 9), 1), ((10, 8, 12), 2)])
def test_the_gradient_is_pytorchs_to_rounding(layer, shape, batch):
    x, gradient = features_and_gradient(layer, shape, batch)
    result = weight_gradient(x, gradient, *layer[2:])
    assert result.is_contiguous()
    check(result, exact(x, gradient, layer))


@each_layer
@pytest.mark.parametrize("padding", [0, 2])
def test_other_paddings_are_right(layer, padding):
    x, gradient = features_and_gradient(layer, (6, 9, 7), padding=padding)
    result = weight_gradient(x, gradient, *layer[2:], padding)
    check(result, exact(x, gradient, layer, padding))


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 5), (3, 1, 40)])
@pytest.mark.parametrize("layer", [(5, 24, 2, 1), (5, 6, 3, 1), (5, 6, 3, 2)])
def test_thin_grids_are_right(layer, shape):
    x, gradient = features_and_gradient(layer, shape)
    check(weight_gradient(x, gradient, *layer[2:]), exact(x, gradient, layer))


@pytest.mark.parametrize("layer", [(35, 24, 2, 1), (64, 16, 3, 1), (2, 16, 3, 2)])
def test_the_sum_over_many_voxels_stays_exact(layer):
    x, gradient = features_and_gradient(layer, (36, 32, 34))
    check(weight_gradient(x, gradient, *layer[2:]), exact(x, gradient, layer))


@each_layer
def test_the_number_of_threads_does_not_change_a_byte(layer):
    x, gradient = features_and_gradient(layer, (13, 12, 11), batch=2)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(weight_gradient(x, gradient, *layer[2:]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("layer", [(16, 24, 2, 1), (16, 8, 3, 2)])
def test_arrays_in_another_layout_of_memory_are_right(layer):
    x, gradient = features_and_gradient(layer, (7, 7, 7))
    x, gradient = x.transpose(2, 4), gradient.contiguous()
    check(weight_gradient(x, gradient, *layer[2:]), exact(x, gradient, layer))


@pytest.mark.parametrize("layer", [(16, 24, 2, 1), (16, 8, 3, 2)])
def test_a_number_that_is_none_is_not_lost(layer):
    x, gradient = features_and_gradient(layer, (9, 9, 9))
    gradient[0, 3, 1, 1, 1] = torch.nan
    assert weight_gradient(x, gradient, *layer[2:])[3].isnan().all()
    assert not weight_gradient(x, gradient, *layer[2:])[:3].isnan().any()


def test_a_gradient_of_another_shape_is_refused():
    x, gradient = features_and_gradient((4, 8, 3, 1), (6, 6, 6))
    with pytest.raises(ValueError, match=r"gradient must have shape \(1, 8, 6, 6, 6\)"):
        weight_gradient(x, gradient[:, :, 1:], 3)


def test_other_kernels_and_precisions_are_left_to_pytorch():
    x, gradient = features_and_gradient((4, 8, 3, 1), (6, 6, 6))
    assert weight_gradient(x.double(), gradient.double(), 3) is None
    assert weight_gradient(x, gradient, 5, padding=2) is None


def test_without_vectors_all_is_left_to_pytorch():
    x, gradient = features_and_gradient((4, 8, 3, 1), (6, 6, 6))
    with using_instructions("plain"):
        assert weight_gradient(x, gradient, 3) is None

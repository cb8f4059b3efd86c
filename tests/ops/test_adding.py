"""Values and gradients in one call, against autograd of plain operations in float64."""

import pytest
import torch

from support.native import needs_native
from support.tensors import random_flow, random_numbers
from voltween.losses import local_correlation_loss, mean_squared_error
from voltween.ops import (
    MaskWeights,
    WarpedCorrelation,
    WarpedFeatures,
    Window,
    add_folding,
    add_gradient,
    add_variation,
    compose_affine,
    jacobian_determinant,
    warp,
)
from voltween.ops.jacobian import JACOBIAN
from voltween.ops.local_correlation import LOCAL_CORRELATION
from voltween.ops.variation import TOTAL_VARIATION
from voltween.ops.warping import WARP

SHAPES = [(2, 2, 2), (7, 5, 3), (21, 6, 9)]
LEAST = 0.9  # most of the random flows' voxels lack something


def value_and_gradient(function, flow):
    leaf = flow.detach().clone().requires_grad_()
    value = function(leaf)
    return value.item(), torch.autograd.grad(value, leaf)[0]


def check(add, function, flow, dtype, tolerance):
    """Compares `add` in a precision with autograd of the function in double."""
    expected, slope = value_and_gradient(function, flow)
    before = random_numbers(*flow.shape, seed=8)
    gradient = before.to(dtype, copy=True)
    value = add(flow.to(dtype), scale=3.0, gradient=gradient)
    assert value == pytest.approx(expected, rel=tolerance, abs=tolerance)
    torch.testing.assert_close(
        gradient.double(), before + 3 * slope, atol=10 * tolerance, rtol=10 * tolerance
    )


PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 3e-5)]
)


@PRECISIONS
@pytest.mark.parametrize("shape", SHAPES)
def test_variation(shape, dtype, tolerance):
    flow = random_flow(shape, batch=2)
    plain = lambda leaf: TOTAL_VARIATION.stock(leaf).sum()  # noqa: E731
    check(add_variation, plain, flow, dtype, tolerance)


@PRECISIONS
@pytest.mark.parametrize("shape", SHAPES)
def test_folding(shape, dtype, tolerance):
    flow = random_flow(shape, batch=2).float().double()
    determinant = JACOBIAN.stock(flow)
    assert 0.1 < (determinant < LEAST).double().mean() < 0.9

    def add(flow, **arguments):
        return add_folding(flow, LEAST, **arguments)

    def plain(leaf):
        return (LEAST - JACOBIAN.stock(leaf)).clamp_min(0).sum()

    check(add, plain, flow, dtype, tolerance)


def test_a_flow_that_lacks_nothing_has_no_folding():
    flow, gradient = torch.zeros(1, 3, 4, 5, 6), torch.zeros(1, 3, 4, 5, 6)
    assert add_folding(flow, 0.2, scale=1.0, gradient=gradient) == 0
    assert not gradient.any()
    with pytest.raises(ValueError, match="at least 2 voxels"):
        add_folding(flow[:, :, :1], 0.2, scale=1.0, gradient=gradient[:, :, :1])


def pair(shape):
    """Fixed and moving image, 12 affine numbers and a flow that leaves the grid."""
    images = [random_numbers(1, 1, *shape, seed=seed) for seed in (1, 2)]
    numbers = 0.1 * (random_numbers(1, 12, seed=3) - 0.5)
    return *images, numbers, random_flow(shape)


def read_at(moving, numbers, inner):
    flow = compose_affine(numbers[:, :9].view(1, 3, 3), numbers[:, 9:], inner)
    return WARP.stock(moving, flow, False)


def local_correlation(fixed, moving, numbers, width):
    """The plain function of the inner flow that the compiled one computes."""

    def loss(inner):
        moved = read_at(moving, numbers, inner)
        sums = LOCAL_CORRELATION.stock(fixed, moved, width, 1e-6)
        return 1 - sums.sum() / moved.numel()

    return loss


@PRECISIONS
@pytest.mark.parametrize("width", [1, 5, 9])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (21, 6, 9), (3, 4, 140)])
@needs_native
def test_warped_correlation(shape, width, dtype, tolerance):
    fixed, moving, numbers, flow = (x.float().double() for x in pair(shape))
    images = [image.to(dtype) for image in (fixed, moving)]
    compared = WarpedCorrelation(*images, Window(width, 1e-6))

    def add(inner, **arguments):
        return compared.add(numbers, inner, None, **arguments)

    plain = local_correlation(fixed, moving, numbers, width)
    check(add, plain, flow, dtype, tolerance)


@PRECISIONS
@pytest.mark.parametrize("shape", [(3, 5, 2), (21, 6, 9)])
@needs_native
def test_weighted_correlation(shape, dtype, tolerance):
    fixed, moving, numbers, flow = (x.float().double() for x in pair(shape))
    weights = (random_numbers(1, 1, *shape, seed=5) > 0.4).double()
    images = [image.to(dtype) for image in (fixed, moving)]
    images[0][weights == 0] = torch.nan  # what is masked does not matter
    compared = WarpedCorrelation(*images, Window(3, 1e-6))

    def add(inner, **arguments):
        return compared.add(numbers, inner, weights, **arguments)

    def plain(inner):
        moved = read_at(moving, numbers, inner)
        return local_correlation_loss(fixed, moved, weights, width=3)

    check(add, plain, flow, dtype, tolerance)


@PRECISIONS
@pytest.mark.parametrize("channels", [1, 12, 16, 17])
@pytest.mark.parametrize("is_weighted", [False, True])
@needs_native
def test_warped_features(is_weighted, channels, dtype, tolerance):
    shape = (6, 5, 7)
    _, _, numbers, flow = (x.float().double() for x in pair(shape))
    fixed, moving = (random_numbers(1, channels, *shape, seed=n) for n in (1, 2))
    mask = (random_numbers(1, 1, *shape, seed=5) > 0.4).double()
    weights = mask if is_weighted else None
    compared = WarpedFeatures(fixed.to(dtype), moving.to(dtype), 0.5)

    def add(inner, **arguments):
        return compared.add(numbers, inner, weights, **arguments)

    def plain(inner):
        moved = read_at(moving, numbers, inner)
        return mean_squared_error(fixed, moved, weights) / 0.5

    check(add, plain, flow, dtype, tolerance)


@pytest.mark.parametrize("compared", [WarpedCorrelation, WarpedFeatures])
@needs_native
def test_nothing_is_compared_where_all_weights_are_0(compared):
    fixed, moving, numbers, flow = pair((3, 5, 2))
    setting = Window(3, 1e-6) if compared is WarpedCorrelation else 1.0
    gradient = torch.zeros_like(flow)
    nothing = torch.zeros_like(fixed)
    compared = compared(fixed, moving, setting)
    assert compared.add(numbers, flow, nothing, scale=1.0, gradient=gradient) == 0
    assert not gradient.any()


@needs_native
def test_results_do_not_depend_on_the_number_of_threads():
    fixed, moving, numbers, flow = (x.float() for x in pair((30, 20, 34)))
    mask = (random_numbers(1, 1, 30, 20, 34, seed=5) > 0.4).float()
    results, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            compared = WarpedCorrelation(fixed, moving, Window(5, 1e-6))
            features = WarpedFeatures(fixed, moving, 1.0)
            gradient = torch.zeros_like(flow)
            values = [
                compared.add(numbers, flow, None, scale=1.0, gradient=gradient),
                compared.add(numbers, flow, mask, scale=1.0, gradient=gradient),
                features.add(numbers, flow, mask, scale=1.0, gradient=gradient),
                add_folding(flow, LEAST, scale=1.0, gradient=gradient),
                add_variation(flow, scale=1.0, gradient=gradient),
            ]
            results.append((values, gradient))
    finally:
        torch.set_num_threads(before)
    for values, gradient in results[1:]:
        assert values == results[0][0]
        assert torch.equal(gradient, results[0][1])


def test_gradient_by_autograd_is_added():
    image, flow = random_numbers(1, 1, 4, 5, 6), random_flow((4, 5, 6))

    def function(leaf):
        return warp(image, leaf).sum() + jacobian_determinant(leaf).sum()

    def add(flow, **arguments):
        return add_gradient(function, flow, **arguments)

    check(add, function, flow, torch.float64, 1e-12)


@needs_native
def test_wrong_arguments_are_refused_before_memory_is_touched():
    fixed, moving, numbers, flow = pair((4, 5, 6))
    compared = WarpedCorrelation(fixed, moving, Window(3, 1e-6))
    strided = random_flow((4, 6, 5)).transpose(3, 4)
    for gradient in (flow.float(), strided):
        with pytest.raises(ValueError, match="gradient must"):
            add_variation(flow, scale=1.0, gradient=gradient)
    other = random_flow((4, 5, 7))
    with pytest.raises(ValueError, match="flow must have shape"):
        compared.add(numbers, other, None, scale=1.0, gradient=other.clone())
    with pytest.raises(ValueError, match="odd number"):
        WarpedCorrelation(fixed, moving, Window(2, 1e-6))


@pytest.mark.parametrize("width", [3, 5])
@needs_native
def test_rows_with_and_without_weights_are_each_computed_right(width):
    # Whole rows and planes of 0 and of 1, which take ways of their own.
    fixed, moving, numbers, flow = (x.float().double() for x in pair((17, 14, 9)))
    weights = torch.ones_like(fixed)
    weights[:, :, 12:], weights[:, :, :, 11:] = 0, 0
    weights[..., 5, 4, 2:5] = 0
    compared = WarpedCorrelation(fixed, moving, Window(width, 1e-6))

    def add(inner, **arguments):
        return compared.add(numbers, inner, weights, **arguments)

    def plain(inner):
        moved = read_at(moving, numbers, inner)
        return local_correlation_loss(fixed, moved, weights, width=width)

    check(add, plain, flow, torch.float64, 1e-11)


@needs_native
def test_weights_of_1_are_no_weights():
    fixed, moving, numbers, flow = (x.float() for x in pair((12, 9, 10)))
    compared = WarpedCorrelation(fixed, moving, Window(5, 1e-6))
    results = []
    for weights in (None, torch.ones_like(fixed)):
        gradient = torch.zeros_like(flow)
        value = compared.add(numbers, flow, weights, scale=2.0, gradient=gradient)
        results.append((value, gradient))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("shape", [(1, 4, 1), (2, 5, 2), (11, 8, 9)])
@pytest.mark.parametrize("sides", ["fixed", "moving", "both"])
@needs_native
def test_mask_weights_are_those_of_the_warped_mask(sides, shape):
    _, _, numbers, flow = (x.float() for x in pair(shape))
    fixed, moving = (
        (random_numbers(1, 1, *shape, seed=seed) > 0.2).float() for seed in (5, 6)
    )
    moving[..., :4, :, :] = 1  # whole cells inside, and outside
    moving[..., 7:, :, :] = 0
    fixed = None if sides == "moving" else fixed
    moving = None if sides == "fixed" else moving
    shares = torch.ones(1, 1, *shape) if fixed is None else fixed
    if moving is not None:
        shares = shares.minimum(read_at(moving, numbers, flow))
    weights = MaskWeights(fixed, moving, 0.9).at(numbers, flow)
    assert torch.equal(weights, (shares > 0.9).float())

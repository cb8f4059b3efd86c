"""Warps against SciPy, and compositions against the paper's equations."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from support.tensors import random_flow, random_numbers
from voltween.ops import affine_flow, compose, compose_affine, warp, warp_nearest
from voltween.ops.warping import check_flow_and_image

SHAPE = (7, 6, 5)


def reference_warp(image, flow):
    """The paper's rule: move the point to the nearest of the cuboid, then trilinear."""
    warped = np.empty(image.shape)
    top = np.array(image.shape[2:])[:, None, None, None] - 1
    for b in range(len(image)):
        points = np.clip(np.indices(image.shape[2:]) + flow[b], 0, top)
        for c in range(image.shape[1]):
            warped[b, c] = map_coordinates(image[b, c], points, order=1)
    return warped


@pytest.mark.parametrize("shape", [(7, 6, 5), (1, 6, 5), (4, 1, 1), (1, 1, 1)])
def test_warp_equals_reference_also_beyond_the_border(shape):
    image = random_numbers(2, 2, *shape, seed=1)
    flow = random_flow(shape, batch=2, size=9)
    expected = reference_warp(image.numpy(), flow.numpy())
    np.testing.assert_allclose(warp(image, flow).numpy(), expected, atol=1e-12)


def test_flow_of_one_voxel_moves_content_along_its_own_axis():
    for axis in range(3):
        image = torch.zeros(1, 1, 5, 6, 7)
        image[0, 0, 2, 3, 4] = 1
        flow = torch.zeros(1, 3, 5, 6, 7)
        flow[:, axis] = 1
        place = torch.nonzero(warp(image, flow)[0, 0])[0]
        expected = torch.tensor([2, 3, 4])
        expected[axis] -= 1  # moved(x) = image(x + 1)
        assert torch.equal(place, expected)


def test_nearest_warp_keeps_labels():
    labels = torch.randint(0, 100, (1, 1, *SHAPE)).float()
    moved = warp_nearest(labels, random_flow(SHAPE).float())
    assert set(moved.unique().tolist()) <= set(labels.unique().tolist())
    assert not torch.equal(moved, labels)


def test_nearest_warp_takes_the_nearest_voxel_and_background_for_nan():
    labels = torch.arange(1.0, 61).view(1, 1, 3, 4, 5)
    flow = torch.zeros(1, 3, 3, 4, 5)
    flow[0, 2, 0, 0] = torch.tensor([0.4, 0.6, -1.4, 9.0, torch.nan])
    assert warp_nearest(labels, flow)[0, 0, 0, 0].tolist() == [1, 3, 2, 5, 0]


def test_warp_gradients():
    image = random_numbers(1, 1, 4, 3, 3).requires_grad_()
    flow = random_flow((4, 3, 3), size=1) + 0.05  # not on the kinks at integers
    torch.autograd.gradcheck(warp, (image, flow.requires_grad_()))


@pytest.mark.parametrize(
    ("flow", "image", "message"),
    [
        ((1, 3, 7, 6, 4), (1, 2, 7, 6, 5), r"grid \(7, 6, 4\), got \(1, 2, 7, 6, 5\)"),
        ((1, 2, 7, 6, 5), (1, 2, 7, 6, 5), r"\(B, 3, I, J, K\), got \(1, 2, 7, 6, 5"),
        ((1, 3, 7, 6), (1, 2, 7, 6), r"\(B, 3, I, J, K\), got \(1, 3, 7, 6\)"),
        ((1, 3, 7, 6, 5), (7, 6, 5), r"\(B, C, I, J, K\) .* got \(7, 6, 5\)"),
    ],
)
def test_flows_that_cannot_warp_the_image_are_refused(flow, image, message):
    with pytest.raises(ValueError, match=message):
        check_flow_and_image(torch.zeros(flow), torch.zeros(image))


def test_compose_follows_equation_3():
    outer, inner = (random_flow(SHAPE, batch=2, seed=seed) for seed in (1, 2))
    expected = inner + warp(outer, inner)
    assert torch.equal(compose(outer, inner), expected)


def test_warping_twice_is_warping_by_the_composition():
    # Equation 4; exact where image and outer flow are linear and points stay inside.
    positions = torch.stack(
        torch.meshgrid(
            *[torch.arange(n, dtype=torch.float64) for n in (9, 8, 7)], indexing="ij"
        )
    )[None]
    ramp = (positions * torch.tensor([1.0, 2.0, 3.0])[None, :, None, None, None]).sum(
        1
    )[None]
    outer = 0.02 * positions
    inner = 0.3 * torch.rand(1, 3, 9, 8, 7, dtype=torch.float64)
    twice = warp(warp(ramp, outer), inner)
    once = warp(ramp, compose(outer, inner))
    inside = (slice(None), slice(None), slice(0, -2), slice(0, -2), slice(0, -2))
    torch.testing.assert_close(twice[inside], once[inside], atol=1e-10, rtol=0)


def test_affine_flow_counts_from_the_center():
    matrix = torch.zeros(1, 3, 3)
    matrix[0, 0, 1] = 0.5
    flow = affine_flow(matrix, torch.tensor([[1.0, 2.0, 3.0]]), (5, 7, 9))
    assert flow[0, :, 2, 3, 4].tolist() == [1, 2, 3]
    assert flow[0, :, 2, 5, 4].tolist() == [2, 2, 3]


def test_affine_composition_is_exact():
    # Equation 19 against the general composition, in the middle where both hold.
    matrix = 0.1 * torch.randn(1, 3, 3, dtype=torch.float64)
    translation = torch.randn(1, 3, dtype=torch.float64)
    inner = random_flow((11, 11, 11), size=1)
    outer = affine_flow(matrix, translation, (11, 11, 11))
    middle = (slice(None), slice(None), slice(3, -3), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(
        compose_affine(matrix, translation, inner)[middle],
        compose(outer, inner)[middle],
        atol=1e-12,
        rtol=0,
    )

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.ndimage import map_coordinates

from voltween.ops import (
    affine_flow,
    compose,
    compose_affine,
    folding_fraction,
    jacobian_determinant,
    warp,
    warp_nearest,
)


def random_flow(shape=(7, 6, 5), scale=2.0, seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(
        batch, 3, *shape, generator=generator, dtype=torch.float64
    )


def random_image(shape=(7, 6, 5), channels=2, batch=2):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, channels, *shape, generator=generator, dtype=torch.float64)


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
    image, flow = random_image(shape), random_flow(shape, scale=5)
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
    labels = torch.randint(0, 100, (1, 1, 7, 6, 5)).float()
    moved = warp_nearest(labels, random_flow(batch=1).float())
    assert set(moved.unique().tolist()) <= set(labels.unique().tolist())


def test_warp_gradients():
    image = random_image((4, 3, 3), 1, 1).requires_grad_()
    flow = random_flow((4, 3, 3), 0.4, batch=1) + 0.05  # not on the kinks at integers
    torch.autograd.gradcheck(warp, (image, flow.requires_grad_()))


def test_warp_refuses_flows_of_other_grids():
    with pytest.raises((ValueError, TypeCheckError)):
        warp(random_image((7, 6, 5)), random_flow((7, 6, 4)))


def test_compose_follows_equation_3():
    outer, inner = random_flow(seed=1), random_flow(seed=2)
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
    inner = random_flow((11, 11, 11), 0.5, batch=1)
    outer = affine_flow(matrix, translation, (11, 11, 11))
    middle = (slice(None), slice(None), slice(3, -3), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(
        compose_affine(matrix, translation, inner)[middle],
        compose(outer, inner)[middle],
        atol=1e-12,
        rtol=0,
    )


def test_jacobian_of_an_affine_flow_is_its_determinant():
    matrix = 0.2 * torch.randn(2, 3, 3, dtype=torch.float64)
    flow = affine_flow(matrix, torch.zeros(2, 3, dtype=torch.float64), (5, 4, 6))
    expected = torch.linalg.det(matrix + torch.eye(3))
    determinant = jacobian_determinant(flow)
    torch.testing.assert_close(determinant[:, 2, 2, 2], expected)
    torch.testing.assert_close(determinant.amax((1, 2, 3)), determinant.amin((1, 2, 3)))


def test_folding_is_counted():
    flow = torch.zeros(1, 3, 10, 4, 4)
    flow[:, 0, 5] = -3.0  # voxel 4 is now behind: central differences at 4 and 6 change
    determinant = jacobian_determinant(flow)
    assert determinant[0, 4, 0, 0] == 1 - 1.5
    assert folding_fraction(flow)[0] == pytest.approx(0.1)

"""Losses of target flows, labels and landmarks, against NumPy and SciPy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from support.tensors import random_numbers
from voltween.losses import dice_loss, end_point_error, landmark_distance
from voltween.losses.supervision import read_linearly


def test_end_point_error_is_the_mean_length():
    flow, target = random_numbers(2, 3, 4, 5, 6), random_numbers(2, 3, 4, 5, 6, seed=1)
    expected = np.linalg.norm((flow - target).numpy(), axis=1).mean()
    assert end_point_error(flow, target).item() == pytest.approx(expected)
    assert end_point_error(flow, flow).item() == pytest.approx(0, abs=1e-5)


def test_voxels_without_a_target_do_not_count():
    flow, target = random_numbers(1, 3, 4, 5, 6), random_numbers(1, 3, 4, 5, 6, seed=1)
    target[:, :, :2] = torch.nan
    target[:, 1, 3, 0, 0] = torch.nan  # one component is enough
    flow.requires_grad_()
    is_known = target.isfinite().all(1)
    error = end_point_error(flow, target)
    lengths = np.linalg.norm((flow - target).detach().numpy(), axis=1)
    assert error.item() == pytest.approx(lengths[is_known.numpy()].mean())
    error.backward()
    assert (flow.grad.abs().sum(1) > 0).equal(is_known)


def test_pairs_count_alike_however_many_targets_each_has():
    """Devices that share the pairs of a step find the same mean."""
    flow, target = random_numbers(3, 3, 4, 5, 6), random_numbers(3, 3, 4, 5, 6, seed=1)
    target[0, :, :3], target[1] = torch.nan, torch.nan
    pairs = zip(flow.split(1), target.split(1), strict=True)
    alone = [end_point_error(*pair).item() for pair in pairs]
    assert end_point_error(flow, target).item() == pytest.approx(np.mean(alone))


def test_without_any_target_there_is_no_error():
    flow = random_numbers(1, 3, 4, 5, 6).requires_grad_()
    error = end_point_error(flow, torch.full_like(flow, torch.nan))
    error.backward()
    assert error.item() == 0
    assert not flow.grad.any()


def test_dice_loss_of_label_maps_is_one_minus_dice():
    labels = (random_numbers(2, 1, 3, 6, 5, 4) > 0.6).double()
    fixed, moved = labels[0], (random_numbers(1, 3, 6, 5, 4, seed=2) > 0.5).double()
    f, m = fixed.numpy().reshape(3, -1), moved.numpy().reshape(3, -1)
    dice = 2 * (f * m).sum(1) / (f.sum(1) + m.sum(1))
    assert dice_loss(fixed, moved).item() == pytest.approx(1 - dice.mean())
    assert dice_loss(fixed, fixed).item() == pytest.approx(0)


def test_dice_loss_is_the_mean_of_pairs_however_many_labels_each_has():
    fixed, moved = random_numbers(2, 2, 4, 4, 4), random_numbers(2, 2, 4, 4, 4, seed=1)
    fixed[0, 1], moved[0, 1] = 0, 0
    alone = [dice_loss(fixed[n : n + 1], moved[n : n + 1]).item() for n in (0, 1)]
    assert dice_loss(fixed, moved).item() == pytest.approx(np.mean(alone))


def test_a_label_that_neither_map_has_says_nothing():
    fixed, moved = random_numbers(1, 2, 4, 4, 4), random_numbers(1, 2, 4, 4, 4, seed=1)
    empty = torch.zeros(1, 1, 4, 4, 4, dtype=torch.float64)
    with_empty = [torch.cat([x, empty], dim=1) for x in (fixed, moved)]
    assert dice_loss(*with_empty).item() == pytest.approx(
        dice_loss(fixed, moved).item()
    )


def test_flows_are_read_as_scipy_reads_them():
    flow = random_numbers(2, 3, 5, 6, 7)
    points = random_numbers(2, 40, 3, seed=1) * 9 - 1.5  # some beyond the border
    found = read_linearly(flow, points)
    for item in range(2):
        for component in range(3):
            expected = map_coordinates(
                flow[item, component].numpy(),
                points[item].numpy().T,
                order=1,
                mode="nearest",
            )
            np.testing.assert_allclose(found[item, :, component], expected, atol=1e-12)


def test_landmarks_that_the_flow_leads_home_have_no_distance():
    flow = random_numbers(1, 3, 5, 6, 7)
    fixed = random_numbers(1, 9, 3, seed=1) * 4
    moving = fixed + read_linearly(flow, fixed)
    assert landmark_distance(flow, fixed, moving).item() == pytest.approx(0, abs=1e-5)
    off = moving + torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    assert landmark_distance(flow, fixed, off).item() == pytest.approx(5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 2)])
def test_grids_of_one_voxel_can_be_read(shape):
    flow = random_numbers(1, 3, *shape)
    found = read_linearly(flow, torch.zeros(1, 1, 3, dtype=torch.float64))
    torch.testing.assert_close(found[0, 0], flow[0, :, 0, 0, 0])


def test_gradients():
    flow, target = random_numbers(1, 3, 3, 4, 3), random_numbers(1, 3, 3, 4, 3, seed=1)
    points = [0.2 + 1.5 * random_numbers(1, 4, 3, seed=s) for s in (2, 3)]
    for leaf in (flow, target, *points):
        leaf.requires_grad_()
    torch.autograd.gradcheck(end_point_error, (flow, target))
    torch.autograd.gradcheck(dice_loss, (flow, target))
    torch.autograd.gradcheck(landmark_distance, (flow, *points))

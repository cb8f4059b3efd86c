"""MIND-SSC by its definition, and what it does not depend on."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from voltween.losses import similarity_loss
from voltween.losses.mind import mind_ssc
from voltween.ops import warp


def image(seed=0, shape=(7, 6, 8), sigma=1.0):
    data = np.random.default_rng(seed).standard_normal(shape)
    data = gaussian_filter(data, sigma)
    data = (data - data.min()) / (data.max() - data.min())
    return torch.from_numpy(data)[None, None]


def descriptors_by_a_plain_loop(volume, radius, distance):
    """Voxel by voxel from the definition; channels in ascending order."""
    pad = radius + distance
    padded = np.pad(volume, pad, mode="edge")
    neighbors = [
        s * distance * np.eye(3, dtype=int)[a] for a in range(3) for s in (1, -1)
    ]
    pairs = [
        (p, q)
        for n, p in enumerate(neighbors)
        for q in neighbors[n + 1 :]
        if ((p - q) ** 2).sum() == 2 * distance**2
    ]
    assert len(pairs) == 12

    def patch(at):
        return padded[tuple(slice(x - radius, x + radius + 1) for x in at)]

    sums = np.empty((12, *volume.shape))
    for voxel in product(*map(range, volume.shape)):
        center = np.add(voxel, pad)
        for n, (p, q) in enumerate(pairs):
            squares = (patch(center + p) - patch(center + q)) ** 2
            sums[(n, *voxel)] = squares.sum()
    excess = sums - sums.min(0)
    variance = excess.mean(0)
    variance = variance.clip(1e-3 * variance.mean(), 1e3 * variance.mean())
    return np.sort(np.exp(-excess / variance), axis=0)


@pytest.mark.parametrize(("radius", "distance"), [(1, 2), (0, 1)])
def test_equals_a_plain_loop(radius, distance):
    volume = image(shape=(6, 5, 7))
    volume[..., :3] *= 0.01  # little contrast: the variance is clamped there
    found = mind_ssc(volume, radius=radius, distance=distance)
    expected = descriptors_by_a_plain_loop(volume[0, 0].numpy(), radius, distance)
    np.testing.assert_allclose(found[0].sort(dim=0).values.numpy(), expected)


def test_a_channel_is_the_same_pair_at_every_voxel():
    # A shift of the image shifts every channel, away from the border.
    volume = image(shape=(12, 11, 13))
    shifted = volume.roll((1, -1, 1), dims=(2, 3, 4))
    inside = (..., slice(5, -5), slice(5, -5), slice(5, -5))
    there = mind_ssc(volume).roll((1, -1, 1), dims=(2, 3, 4))[inside]
    torch.testing.assert_close(mind_ssc(shifted)[inside], there)


def test_neither_scale_nor_offset_nor_sign_of_intensities_matters():
    volume = image()
    for changed in (1 - volume, 0.01 * volume, 500 * volume - 1000):
        torch.testing.assert_close(mind_ssc(changed), mind_ssc(volume))


def test_values_are_from_0_to_1_and_the_closest_pair_has_1():
    found = mind_ssc(image())
    assert found.shape == (1, 12, 7, 6, 8)
    assert found.min() >= 0
    assert found.max() == 1
    assert (found.amax(dim=1) == 1).all()


def test_an_image_without_contrast_has_1_and_no_gradient():
    flat = torch.full((1, 1, 6, 6, 6), 0.3, requires_grad=True)
    found = mind_ssc(flat)
    assert (found == 1).all()
    found.square().sum().backward()
    assert (flat.grad == 0).all()


def test_images_of_a_batch_do_not_know_each_other():
    images = torch.cat([image(0), 100 * image(1)])
    torch.testing.assert_close(mind_ssc(images)[:1], mind_ssc(images[:1]))


def test_single_and_half_precision_agree_with_double():
    volume = image()
    exact = mind_ssc(volume)
    assert exact.dtype == torch.float64
    torch.testing.assert_close(
        mind_ssc(volume.float()).double(), exact, atol=1e-4, rtol=0
    )
    assert mind_ssc(volume.half()).dtype == torch.float32


@pytest.mark.parametrize("contrast", [1.0, 0.01])
def test_gradients(contrast):
    volume = image(shape=(6, 3, 4), sigma=0.5)
    volume[:, :, :3] *= contrast  # at 0.01 the variance is clamped there
    torch.autograd.gradcheck(mind_ssc, volume.requires_grad_(), fast_mode=True)


def test_loss_finds_a_shift_between_modalities():
    # Neither linear nor monotonic, and the correlation is of no use.
    moving = image(shape=(20, 20, 20), sigma=2.0)
    fixed = (2 * moving - 1).square()
    loss = similarity_loss("MIND-SSC", window_voxels=5)
    flow = torch.zeros(1, 3, 20, 20, 20, dtype=torch.float64)
    values = []
    for shift in (-2, -1, 0, 1, 2):
        flow[:, 1] = shift
        values.append(loss(fixed, warp(moving, flow)).item())
    assert np.argmin(values) == 2

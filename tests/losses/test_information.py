"""Mutual information of a sample, and normalized mutual information of histograms."""

import numpy as np
import pytest
import torch

from support.tensors import random_images as images
from voltween import losses
from voltween.losses import (
    normalized_mutual_information_loss as loss_of,
)

SHAPE = (1, 1, 32, 32, 32)  # as many voxels as 32 bins need


def uniform(seed):
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


def levels(seed, count=32):
    """Intensities that are bins of the histogram, so that nothing is shared out."""
    return (uniform(seed) * count).floor().clamp(max=count - 1) / 31


def test_it_is_that_of_the_joint_histogram():
    fixed, moved = levels(0), (levels(0) * 31 // 4 + levels(1) * 31 // 8) / 31
    joint, _, _ = np.histogram2d(
        *(image.numpy().ravel() * 31 for image in (fixed, moved)),
        bins=np.arange(33) - 0.5,
    )
    joint = joint / joint.sum()

    def entropy(shares):
        shares = shares[shares > 0]
        return -(shares * np.log(shares)).sum()

    expected = 2 - (entropy(joint.sum(0)) + entropy(joint.sum(1))) / entropy(joint)
    assert float(loss_of(fixed, moved)) == pytest.approx(expected, abs=1e-5)


def test_images_that_determine_one_another_have_nothing():
    image = levels(0)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(1))
    remapped = order[(image * 31).long()] / 31
    for other in (image, 1 - image, remapped):
        assert float(loss_of(image, other)) == pytest.approx(0, abs=1e-5)


def test_images_that_know_nothing_of_one_another_have_nearly_one():
    assert float(loss_of(levels(0, 4), levels(1, 4))) > 0.99


def test_constant_images_are_independent_and_have_no_gradient():
    flat = torch.full(SHAPE, 0.3)
    moved = flat.clone().requires_grad_()
    loss = loss_of(flat, moved)
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-4)
    assert moved.grad.abs().max() < 1e-6


def test_what_has_no_weight_does_not_count():
    fixed, moved = uniform(0), uniform(1)
    weights = torch.zeros(SHAPE)
    weights[..., :8] = 1
    far = torch.where(weights > 0, moved, uniform(2))
    assert torch.equal(loss_of(fixed, moved, weights), loss_of(fixed, far, weights))
    assert not torch.isclose(
        loss_of(fixed, moved), loss_of(fixed, far), rtol=0, atol=1e-6
    )
    assert float(loss_of(fixed, moved, weights * 0)) == 0


def test_the_gradient_is_that_of_small_differences():
    fixed = uniform(0).double()[..., :9, :4, :4]
    moved = uniform(1).double()[..., :9, :4, :4].requires_grad_()
    assert torch.autograd.gradcheck(lambda m: loss_of(fixed, m), moved, eps=1e-7)


def test_a_batch_has_the_mean_of_its_pairs():
    pairs = [(uniform(n), uniform(n + 5)) for n in range(2)]
    batch = loss_of(*(torch.cat(side) for side in zip(*pairs, strict=True)))
    assert torch.isclose(batch, sum(loss_of(*pair) for pair in pairs) / 2)


def test_mutual_information_equals_the_sums_of_equation_17():
    generator = torch.Generator().manual_seed(0)
    fixed, moved = torch.rand(2, 1, 40, generator=generator, dtype=torch.float64)

    def entropy(*images):
        distances = sum(np.abs(np.subtract.outer(x, x)) for x in images)
        return -np.log(np.exp(-7.0 * distances).mean(1)).mean()

    f, m = fixed[0].numpy(), moved[0].numpy()
    expected = entropy(f) + entropy(m) - entropy(f, m)
    found = losses.mutual_information(fixed, moved, 7.0)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    single = losses.mutual_information(fixed.float(), moved.float(), 7.0)
    assert single.item() == pytest.approx(expected, abs=1e-5)


def test_a_sharp_kernel_gives_the_entropies_of_equation_16():
    # With a kernel that is 1 for equal intensities and 0 for others, the sums count.
    generator = torch.Generator().manual_seed(0)
    fixed, moved = torch.randint(0, 3, (2, 1, 60), generator=generator).double()

    def entropy(values):
        counts = np.unique(values, axis=0, return_counts=True)[1]
        return -np.sum(counts / counts.sum() * np.log(counts / counts.sum()))

    f, m = fixed.numpy().T, moved.numpy().T
    expected = entropy(f) + entropy(m) - entropy(np.hstack([f, m]))
    found = losses.mutual_information(fixed, moved, 1000.0)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_equation_16_underestimates_the_entropy():
    # An image's information about itself is its entropy: here log 20.
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(0, 20, (50, 40), generator=generator).double()
    entropies = losses.mutual_information(draws, draws, 1000.0)
    assert entropies.mean() + 2 * entropies.std() < np.log(20)


def test_mutual_information_follows_any_relation_of_intensities():
    image = images(0, (1, 1, 12, 12, 12))
    related = (2 * image - 1).square()  # neither linear nor monotonic
    unrelated = images(1, (1, 1, 12, 12, 12))
    loss = losses.mutual_information_loss
    assert loss(image, related) < loss(image, unrelated) - 0.5
    assert loss(image, related, voxels=500, seed=3) == loss(
        image, related, voxels=500, seed=3
    )


def test_every_seed_samples_other_voxels_and_every_pair_has_its_own():
    pairs = images(0, (2, 1, 12, 12, 12)), images(1, (2, 1, 12, 12, 12))
    weights = images(2, (2, 1, 12, 12, 12))

    def loss(seed, *weights, chosen=slice(None)):
        sides = [side[chosen] for side in (*pairs, *weights)]
        return losses.mutual_information_loss(*sides, voxels=500, seed=seed)

    for extra in ((), (weights,)):
        assert loss(1, *extra) == loss([1, 1], *extra) != loss([1, 2], *extra)
        each = [loss(1, *extra, chosen=[0]), loss(2, *extra, chosen=[1])]
        torch.testing.assert_close(loss([1, 2], *extra), sum(each) / 2)


def test_a_sample_is_drawn_anew_without_touching_the_global_generator():
    image = images(0)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    losses.mutual_information_loss(image, image, seed=7)
    assert torch.rand(1) == expected


def test_mutual_information_has_gradients():
    fixed, moved = images(0, (2, 1, 3, 3, 3)), images(1, (2, 1, 3, 3, 3))
    leaves = [value.requires_grad_() for value in (fixed, moved)]
    torch.autograd.gradcheck(losses.mutual_information_loss, leaves)

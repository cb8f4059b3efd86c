"""Similarity losses against NumPy and plain loops."""

import numpy as np
import pytest
import torch

from support.tensors import random_images as images
from voltween import losses


def test_correlation_equals_numpy():
    fixed, moved = images(0), images(1)
    expected = [
        np.corrcoef(f.ravel(), m.ravel())[0, 1]
        for f, m in zip(fixed.numpy(), moved.numpy(), strict=True)
    ]
    np.testing.assert_allclose(losses.correlation(fixed, moved).numpy(), expected)
    assert losses.correlation_loss(fixed, moved).item() == pytest.approx(
        1 - np.mean(expected)
    )


def test_correlation_ignores_linear_changes_of_intensity():
    fixed = images()
    assert losses.correlation_loss(fixed, 300 * fixed + 40).item() == pytest.approx(0)
    assert losses.correlation_loss(fixed, -fixed).item() == pytest.approx(2)


def test_correlation_holds_in_single_precision_at_full_size():
    generator = torch.Generator().manual_seed(0)
    fixed = 1000 + torch.rand(1, 1, 128, 128, 128, generator=generator)
    moved = fixed + torch.rand(1, 1, 128, 128, 128, generator=generator)
    exact = losses.correlation_loss(fixed.double(), moved.double()).item()
    assert losses.correlation_loss(fixed, moved).item() == pytest.approx(
        exact, abs=1e-5
    )


def test_a_constant_image_does_not_correlate():
    flat = torch.ones(2, 1, 6, 5, 7).double()
    assert losses.correlation_loss(images(), flat).item() == pytest.approx(1)


def test_local_correlation_equals_a_plain_loop():
    fixed, moved = images(0, (1, 1, 6, 5, 7)), images(1, (1, 1, 6, 5, 7))
    values = []
    for i, j, k in np.ndindex(6, 5, 7):
        box = np.s_[
            0, 0, max(i - 2, 0) : i + 3, max(j - 2, 0) : j + 3, max(k - 2, 0) : k + 3
        ]
        f, m = fixed[box].numpy().ravel(), moved[box].numpy().ravel()
        covariance = np.mean(f * m) - f.mean() * m.mean()
        values.append(1 - (covariance**2 + 1e-6) / (f.var() * m.var() + 1e-6))
    assert losses.local_correlation_loss(fixed, moved).item() == pytest.approx(
        np.mean(values)
    )


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        (losses.correlation_loss, (1, 1, 3, 3, 3)),
        (losses.local_correlation_loss, (1, 1, 5, 5, 5)),
    ],
)
def test_gradients(loss, shape):
    pair = images(0, shape), images(1, shape)
    torch.autograd.gradcheck(loss, [image.requires_grad_() for image in pair])


def test_mean_squared_error_equals_numpy():
    fixed, moved = images(0), images(1)
    expected = np.mean((fixed.numpy() - moved.numpy()) ** 2)
    assert losses.mean_squared_error(fixed, moved).item() == pytest.approx(expected)


def test_mean_squared_error_depends_on_the_exposure():
    image = images()
    assert losses.mean_squared_error(image, 0.5 * image + 0.2).item() > 0.01
    assert losses.correlation_loss(image, 0.5 * image + 0.2).item() < 1e-9

import numpy as np
import pytest
import torch

from voltween import losses


def images(seed=0, shape=(2, 1, 6, 5, 7)):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


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


def test_correlation_of_a_constant_image_is_finite():
    assert torch.isfinite(
        losses.correlation_loss(images(), torch.ones(2, 1, 6, 5, 7).double())
    )


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


def test_orthogonality_equals_singular_values():
    matrix = (
        0.4 * torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    )
    singular = torch.linalg.svdvals(matrix + torch.eye(3))
    expected = (singular.square() + singular.pow(-2)).sum(1) - 6
    for one, value in zip(matrix, expected, strict=True):
        loss = losses.orthogonality_loss(one[None]).item()
        assert loss == pytest.approx(value.item(), rel=2e-3)


def test_orthogonality_is_zero_for_rotations():
    angle = torch.tensor(0.7, dtype=torch.float64)
    rotation = torch.eye(3, dtype=torch.float64)
    rotation[0, 0] = rotation[1, 1] = angle.cos()
    rotation[0, 1], rotation[1, 0] = -angle.sin(), angle.sin()
    matrix = (rotation - torch.eye(3))[None]
    assert losses.orthogonality_loss(matrix).item() == pytest.approx(0, abs=1e-9)
    assert losses.determinant_loss(matrix).item() == pytest.approx(0, abs=1e-12)


def test_determinant_of_a_known_matrix():
    matrix = torch.diag(torch.tensor([1.0, 0.0, 0.0]))[None]  # I + A has determinant 2
    assert losses.determinant_loss(matrix).item() == pytest.approx(1)


def test_total_variation_by_hand():
    flow = torch.zeros(1, 3, 2, 1, 1)
    flow[0, :, 1] = torch.tensor([1.0, 2.0, 3.0])[:, None, None]
    # One difference of squared length 14; 2 voxels, 3 directions (equation 10).
    assert losses.total_variation_loss(flow).item() == pytest.approx(14 / 6)


@pytest.mark.parametrize(
    ("loss", "inputs"),
    [
        (
            losses.correlation_loss,
            (images(0, (1, 1, 3, 3, 3)), images(1, (1, 1, 3, 3, 3))),
        ),
        (
            losses.local_correlation_loss,
            (images(0, (1, 1, 5, 5, 5)), images(1, (1, 1, 5, 5, 5))),
        ),
        (losses.orthogonality_loss, (0.2 * torch.randn(2, 3, 3).double(),)),
        (losses.determinant_loss, (0.2 * torch.randn(2, 3, 3).double(),)),
        (losses.total_variation_loss, (torch.randn(1, 3, 3, 3, 3).double(),)),
    ],
)
def test_gradients(loss, inputs):
    torch.autograd.gradcheck(loss, [value.requires_grad_() for value in inputs])


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


def test_mutual_information_follows_any_relation_of_intensities():
    image = images(0, (1, 1, 12, 12, 12))
    related = (2 * image - 1).square()  # neither linear nor monotonic
    unrelated = images(1, (1, 1, 12, 12, 12))
    loss = losses.mutual_information_loss
    assert loss(image, related) < loss(image, unrelated) - 0.5
    assert loss(image, related, voxels=500, seed=3) == loss(
        image, related, voxels=500, seed=3
    )


def test_mutual_information_has_gradients():
    fixed, moved = images(0, (2, 1, 3, 3, 3)), images(1, (2, 1, 3, 3, 3))
    leaves = [value.requires_grad_() for value in (fixed, moved)]
    torch.autograd.gradcheck(losses.mutual_information_loss, leaves)


def test_mean_squared_error_equals_numpy():
    fixed, moved = images(0), images(1)
    expected = np.mean((fixed.numpy() - moved.numpy()) ** 2)
    assert losses.mean_squared_error(fixed, moved).item() == pytest.approx(expected)


def shift(voxels, shape=(1, 3, 8, 8, 8)):
    flow = torch.zeros(shape, dtype=torch.float64)
    flow[:, 0] = voxels
    return flow


def test_invertibility_by_hand():
    # A shift and its opposite lead back; a shift by 2 and back by 1 leaves 1 voxel, in
    # both round trips.
    assert losses.invertibility_loss(shift(2), shift(-2)).item() == pytest.approx(0)
    assert losses.invertibility_loss(shift(2), shift(-1)).item() == pytest.approx(2)


def test_invertibility_looks_at_the_central_half():
    there, back = shift(0), shift(0)
    there[:, :, :2] = 5.0  # the first quarter along i
    assert losses.invertibility_loss(there, back).item() == pytest.approx(0)
    there[:, 0, 4, 4, 4] = 0.5
    # 4^3 voxels; the trip that starts at the voxel and the one that comes to it.
    expected = 2 * 0.5**2 / 4**3
    assert losses.invertibility_loss(there, back).item() == pytest.approx(expected)


def test_invertibility_has_gradients():
    generator = torch.Generator().manual_seed(0)
    flows = 0.7 * torch.randn(2, 1, 3, 4, 4, 4, generator=generator).double()
    leaves = [flow.requires_grad_() for flow in flows.unbind(0)]
    torch.autograd.gradcheck(losses.invertibility_loss, leaves)

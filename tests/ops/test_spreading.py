"""The gradient of control points is that of PyTorch's own interpolation."""

import pytest
import torch
from torch.nn import functional

from voltween.ops import gather, spread


@pytest.mark.parametrize("points", [(3, 4, 2), (5, 7, 6)])
def test_gathering_is_the_gradient_of_spreading(points):
    shape = (5, 7, 6)
    generator = torch.Generator().manual_seed(1)
    control = torch.rand(1, 3, *points, generator=generator, dtype=torch.float64)
    gradient = torch.rand(1, 3, *shape, generator=generator, dtype=torch.float64)
    leaf = control.clone().requires_grad_()
    values = functional.interpolate(
        leaf, size=shape, mode="trilinear", align_corners=True
    )
    torch.testing.assert_close(spread(control, shape), values.detach())
    expected = torch.autograd.grad((values * gradient).sum(), leaf)[0]
    torch.testing.assert_close(gather(gradient, control), expected)

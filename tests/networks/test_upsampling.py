"""Upsampling against the transposed convolution that it replaces."""

import pytest
import torch

from voltween.networks.upsampling import Upsampling
from voltween.ops import interleave, join


def transposed(x, layer):
    weight = layer.state_dict()["weight"]  # as nn.ConvTranspose3d has it
    return torch.nn.functional.conv_transpose3d(x, weight, stride=2, padding=1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (4, 5, 6)])
def test_upsampling_is_the_transposed_convolution(shape):
    torch.manual_seed(0)
    features, prediction = Upsampling(5, 7).double(), Upsampling(5, 3).double()
    for layer in (features, prediction):
        torch.nn.init.normal_(layer.weight)
    coarse = torch.randn(2, 5, *shape, dtype=torch.float64)
    skip = torch.randn(2, 4, *(2 * n for n in shape), dtype=torch.float64)
    joined = join(skip, features(coarse), prediction(coarse), 0.1)
    leaky = torch.nn.functional.leaky_relu(transposed(coarse, features), 0.1)
    expected = torch.cat([skip, leaky, transposed(coarse, prediction)], dim=1)
    torch.testing.assert_close(joined, expected)
    torch.testing.assert_close(
        interleave(prediction(coarse), 3.0), 3 * transposed(coarse, prediction)
    )

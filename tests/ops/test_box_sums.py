"""Sums over boxes against convolutions by ones."""

import pytest
import torch
from torch.nn import functional

from support.tensors import random_numbers
from voltween.ops import sum_boxes, sum_centered_boxes

IMAGE = random_numbers(2, 2, 5, 4, 6)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_sums_are_those_of_cubes_inside(width):
    kernel = torch.ones(1, 1, width, width, width, dtype=torch.float64)
    expected = functional.conv3d(IMAGE.flatten(0, 1)[:, None], kernel)
    sums = sum_boxes(IMAGE, width)
    torch.testing.assert_close(sums, expected.view_as(sums))


def test_centered_sums_have_nothing_beyond_the_border():
    sums = sum_centered_boxes(torch.ones(1, 1, 4, 4, 4), 3)
    assert sums.shape == (1, 1, 4, 4, 4)
    assert sums[0, 0, 0, 0, 0] == 8
    assert sums[0, 0, 0, 1, 2] == 18
    assert sums[0, 0, 1, 1, 2] == 27


def test_gradients():
    leaf = random_numbers(1, 1, 3, 4, 3).requires_grad_()
    torch.autograd.gradcheck(lambda x: sum_boxes(x, 2), leaf)
    torch.autograd.gradcheck(lambda x: sum_centered_boxes(x, 3), leaf)


def test_an_image_smaller_than_a_cube_is_refused():
    with pytest.raises(ValueError, match=r"at least 5 voxels .* got \(5, 4, 6\)"):
        sum_boxes(IMAGE, 5)

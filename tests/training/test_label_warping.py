"""Labels of a training keep their values, however large they are."""

import numpy as np
import pytest
import torch

from voltween.training.label_warping import label_tensor, warp_labels


@pytest.mark.parametrize("high", [3, 2**24 + 1, 2**31 - 1, 2**31 + 1, 2**62 + 1])
def test_labels_move_by_whole_voxels_and_keep_their_values(high):
    labels = np.array([0, 1, high])[np.arange(64).reshape(4, 4, 4) % 3]
    tensor = label_tensor(labels)
    np.testing.assert_array_equal(tensor[0], labels)
    flow = torch.zeros(1, 3, 4, 4, 4)
    flow[:, 0] = 1
    moved = warp_labels(tensor, flow)
    assert moved.dtype == tensor.dtype
    np.testing.assert_array_equal(moved[0, :3], labels[1:])


def test_usual_labels_take_32_bits():
    assert label_tensor(np.ones((2, 2, 2), np.uint8)).dtype == torch.int32

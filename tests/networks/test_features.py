"""The network of features: probabilities of groups, voxels in their places."""

import pytest
import torch

from voltween.errors import InputError
from voltween.networks import FeatureConfig, FeatureNetwork

SHAPE = (16, 8, 8)
CONFIG = FeatureConfig(SHAPE, groups=(0, 1, 2, 1), channels=(8, 16), embedding=4)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return FeatureNetwork(CONFIG).eval()


@torch.no_grad()
def test_probabilities_of_groups_add_up_to_one(network):
    shares = network.describe(torch.rand(1, 1, *SHAPE))
    assert shares.shape == (1, CONFIG.group_count, *SHAPE)
    assert shares.min() >= 0
    torch.testing.assert_close(shares.sum(1), torch.ones(1, *SHAPE))


@torch.no_grad()
def test_every_voxel_has_its_own_probabilities_in_its_place(network):
    image = torch.rand(1, 1, *SHAPE)
    shares = network.describe(image)
    structures = network.scores(network(image)).softmax(-1)
    i, j, k = 9, 4, 3
    voxel = structures[i // 2, j // 2, k // 2, (i % 2) * 4 + (j % 2) * 2 + k % 2]
    expected = torch.stack([voxel[0], voxel[1] + voxel[3], voxel[2]])
    torch.testing.assert_close(shares[0, :, i, j, k], expected)


@torch.no_grad()
def test_scale_and_offset_of_intensities_hardly_matter(network):
    image = torch.rand(1, 1, *SHAPE)
    network.place.zero_()
    # At the border, where zeros surround the image, an offset shows.
    shares, scaled = (network.describe(x) for x in (image, 0.5 * image))
    assert (shares - scaled).abs().max() < 0.02


def test_a_shape_that_cannot_be_halved_is_refused():
    with pytest.raises(InputError, match=r"multiples of 4 .*\(16, 8, 12\)"):
        FeatureConfig((16, 8, 11), (0, 1), channels=(8, 16))

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
    made = FeatureNetwork(CONFIG).eval()
    torch.nn.init.normal_(made.structures.weight)
    made.prior.normal_()
    return made


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
    structures = network.scores(network(image), network.block_prior()).softmax(-1)
    i, j, k = 9, 4, 3
    voxel = structures[i // 2, j // 2, k // 2, (i % 2) * 4 + (j % 2) * 2 + k % 2]
    expected = torch.stack([voxel[0], voxel[1] + voxel[3], voxel[2]])
    torch.testing.assert_close(shares[0, :, i, j, k], expected)


@torch.no_grad()
def test_a_new_network_tells_how_often_structures_are_in_a_place():
    network = FeatureNetwork(CONFIG)
    often = torch.rand(*(side // 4 for side in SHAPE), 4)
    often /= often.sum(-1, keepdim=True)
    network.prior[:] = often.log() - network.structures.bias
    shares = network.describe(torch.rand(1, 1, *SHAPE))[0]
    # At the corner, nothing is interpolated.
    first = often[0, 0, 0]
    expected = torch.stack([first[0], first[1] + first[3], first[2]])
    torch.testing.assert_close(shares[:, 0, 0, 0], expected)


@torch.no_grad()
def test_the_scale_of_intensities_hardly_matters(network):
    image = torch.rand(1, 1, *SHAPE)
    shares, scaled = (network.describe(x) for x in (image, 0.5 * image))
    assert (shares - scaled).abs().max() < 0.05


def test_a_shape_that_cannot_be_halved_is_refused():
    with pytest.raises(InputError, match=r"multiples of 4 .*\(16, 8, 12\)"):
        FeatureConfig((16, 8, 11), (0, 1), channels=(8, 16))

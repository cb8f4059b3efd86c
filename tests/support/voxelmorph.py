"""VoxelMorph-2 networks of random weights, and a model of one; needs the package."""

import torch

from voltween.models import Model
from voltween.networks import VoxelMorphConfig, build
from voltween.preprocessing import Preprocessing

CUBE = (16, 16, 16)
PREPROCESSING = Preprocessing(CUBE, (2.5, 2.5, 2.5))


def random_voxelmorph(shape=CUBE, shift=(1.0, -2.0, 0.5), strength=3.0):
    """A network whose flows are a shift in voxels and random vectors around it."""
    torch.manual_seed(0)
    network = build(VoxelMorphConfig(shape))
    with torch.no_grad():
        network.pairwise.flow_layer.conv0.weight.normal_(0, strength)
        network.pairwise.flow_layer.conv0.bias.copy_(torch.tensor(shift))
    return network.eval()


def voxelmorph_model():
    """A model of `CUBE` voxels with flows that are voxels long."""
    return Model("tiny", random_voxelmorph(), PREPROCESSING, {})


def image_pair(shape=CUBE, batch=2):
    """Fixed and moving image of noise."""
    return torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(1))

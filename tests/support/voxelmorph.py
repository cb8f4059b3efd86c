"""A VoxelMorph-2 with random weights whose flows are voxels long, and a pair for it."""

import sys

import pytest
import torch

from support.packages import hide_packages
from voltween.models import Model
from voltween.networks import VoxelMorphConfig, build
from voltween.preprocessing import Preprocessing

SHAPE = (16, 32, 48)
CUBE = (16, 16, 16)
PREPROCESSING = Preprocessing(CUBE, (2.5, 2.5, 2.5))


def skip_without_voxelmorph():
    """Skip tests, such as all of a module, where its package is not installed."""
    reason = "voxelmorph is not installed (extra `baselines`)"
    return pytest.importorskip("voxelmorph", reason=reason)


def hide_voxelmorph(monkeypatch):
    """As if the package were not installed."""
    monkeypatch.setitem(sys.modules, "voxelmorph", None)
    hide_packages(monkeypatch, "voxelmorph")


def some_network(shape=SHAPE, shift=(1.0, -2.0, 0.5), strength=3.0):
    """A network with random weights whose flows are voxels long."""
    torch.manual_seed(0)
    network = build(VoxelMorphConfig(shape))
    with torch.no_grad():
        network.pairwise.flow_layer.conv0.weight.normal_(0, strength)
        network.pairwise.flow_layer.conv0.bias.copy_(torch.tensor(shift))
    return network.eval()


def some_model():
    return Model("tiny", some_network(CUBE), PREPROCESSING, {})


def pair(shape=SHAPE, batch=2):
    return torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(1))

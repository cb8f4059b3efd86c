"""Networks: the paper's affine and dense subnetworks, their cascade; VoxelMorph-2."""

from voltween.networks.affine import AffineSubnetwork
from voltween.networks.cascade import (
    CascadeConfig,
    Stage,
    Tweening,
    VolumeTweeningNetwork,
)
from voltween.networks.dense import DenseSubnetwork
from voltween.networks.kinds import (
    Network,
    NetworkConfig,
    build,
    config_facts,
    config_from_facts,
    weights_for,
)
from voltween.networks.voxelmorph import VoxelMorphConfig, VoxelMorphNetwork

__all__ = [
    "AffineSubnetwork",
    "CascadeConfig",
    "DenseSubnetwork",
    "Network",
    "NetworkConfig",
    "Stage",
    "Tweening",
    "VolumeTweeningNetwork",
    "VoxelMorphConfig",
    "VoxelMorphNetwork",
    "build",
    "config_facts",
    "config_from_facts",
    "weights_for",
]

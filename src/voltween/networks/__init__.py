"""The networks of the paper: affine and dense subnetworks and their cascade."""

from voltween.networks.affine import AffineSubnetwork
from voltween.networks.cascade import (
    CascadeConfig,
    Stage,
    Tweening,
    VolumeTweeningNetwork,
)
from voltween.networks.dense import DenseSubnetwork

__all__ = [
    "AffineSubnetwork",
    "CascadeConfig",
    "DenseSubnetwork",
    "Stage",
    "Tweening",
    "VolumeTweeningNetwork",
]

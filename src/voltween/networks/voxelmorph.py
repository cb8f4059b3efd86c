"""VoxelMorph-2, from its authors' package `voxelmorph`: a network to compare with.

Optional: `pip install voltween[baselines]`.

References:
    Balakrishnan et al. 2019, VoxelMorph: A Learning Framework for Deformable Medical
    Image Registration, doi:10.1109/TMI.2019.2897538.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.errors import InputError, MissingPackageError
from voltween.networks.blocks import run_subnetwork, without_autocast
from voltween.networks.cascade import Stage, Tweening, check_pair
from voltween.ops import FlowParts, warp

VOXELMORPH_2_FEATURES = (16, 32, 32, 32)
"""Of every level, from the finest. The flow is predicted itself: no integration."""

_MULTIPLE = 2 ** len(VOXELMORPH_2_FEATURES)


@dataclass(frozen=True)
class VoxelMorphConfig:
    """The grid that VoxelMorph-2 works on; all else about it is fixed.

    Raises:
        InputError: If the shape cannot be halved four times.
    """

    shape: tuple[int, int, int]
    """Voxels of the grid."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(n < 1 or n % _MULTIPLE for n in self.shape):
            nearest = tuple(
                max(1, round(n / _MULTIPLE)) * _MULTIPLE for n in self.shape
            )
            raise InputError(
                "VoxelMorph-2 needs a shape whose sides are multiples of "
                f"{_MULTIPLE} voxels, got {self.shape}; the nearest legal shape is "
                f"{nearest}"
            )

    @classmethod
    def covering(cls, shape: tuple[int, int, int]) -> "VoxelMorphConfig":
        """The smallest legal grid that is nowhere smaller than `shape`."""
        i, j, k = (-(-side // _MULTIPLE) * _MULTIPLE for side in shape)
        return cls((i, j, k))

    @property
    def title(self) -> str:
        """What people call it."""
        return "VoxelMorph-2"

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages for people: there is one."""
        return ("dense 1",)


class VoxelMorphNetwork(nn.Module):
    """VoxelMorph-2 with the contract of a cascade that has one dense stage.

    If `recomputes_features` is set, training keeps no features but computes them anew
    for the gradients.
    """

    def __init__(self, config: VoxelMorphConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes_features = False
        self.pairwise = build_voxelmorph(VOXELMORPH_2_FEATURES, integration_steps=0)

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        """Register `moving` to `fixed`, both normalized images on the network's grid.

        Raises:
            ValueError: If the images differ in shape.
        """
        check_pair(fixed, moving)
        flow = self._flow(fixed, moving)
        stage = Stage(
            is_affine=False,
            own_flow=flow,
            flow=flow,
            moved=warp(moving, flow),
            parts=FlowParts.dense(flow),
        )
        return Tweening(stage.flow, stage.moved, (stage,))

    def _flow(self, fixed: Tensor, moving: Tensor) -> Float[Tensor, "b 3 i j k"]:
        # The package's own forward, taken apart for its last layer to keep precision.
        # Channels last in memory: what a CPU's convolutions are fastest with.
        pair = torch.stack([moving[:, 0], fixed[:, 0]], dim=-1).permute(0, 4, 1, 2, 3)
        features = run_subnetwork(
            self.pairwise.model, pair, is_recomputed=self.recomputes_features
        )
        with without_autocast(features):
            return self.pairwise.flow_layer(features.to(fixed.dtype))


def build_voxelmorph(features: tuple[int, ...], *, integration_steps: int) -> Any:
    """A network of the package: called with moving, fixed image it gives the flow.

    Raises:
        MissingPackageError: If the package is missing.
    """
    try:
        import voxelmorph
    except ImportError as error:
        raise MissingPackageError(
            "VoxelMorph needs the package voxelmorph, which is not installed: "
            "pip install voltween[baselines]"
        ) from error
    return voxelmorph.nn.models.VxmPairwise(
        ndim=3,
        source_channels=1,
        target_channels=1,
        nb_features=features,
        integration_steps=integration_steps,
    )

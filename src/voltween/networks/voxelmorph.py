"""VoxelMorph-2 from its authors' package `voxelmorph`, to compare with.

The package is optional: `pip install 'voltween[baselines]'`.

References:
    Balakrishnan et al. 2019, VoxelMorph: A Learning Framework for Deformable Medical
    Image Registration, doi:10.1109/TMI.2019.2897538.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.errors import InputError
from voltween.networks.blocks import (
    nearest_multiples,
    run_subnetwork,
    without_autocast,
)
from voltween.networks.cascade import Stage, Tweening, check_pair
from voltween.ops import FlowParts, warp
from voltween.process import require

VOXELMORPH_2_FEATURES = (16, 32, 32, 32)
"""Features of every level, from the finest. Predicts the flow without integration."""

_MULTIPLE = 2 ** len(VOXELMORPH_2_FEATURES)


@dataclass(frozen=True)
class VoxelMorphConfig:
    """Configuration of VoxelMorph-2: its grid. Everything else is fixed.

    Raises:
        InputError: If the shape cannot be halved four times.
    """

    shape: tuple[int, int, int]
    """Shape of the network's grid, in voxels."""

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(n < 1 or n % _MULTIPLE for n in self.shape):
            nearest = nearest_multiples(self.shape, _MULTIPLE)
            raise InputError(
                about="shape of VoxelMorph-2",
                expected=f"three sides that are multiples of {_MULTIPLE} voxels",
                got=self.shape,
                advice=f"the nearest legal shape is {nearest}",
            )

    @classmethod
    def covering(cls, shape: tuple[int, int, int]) -> "VoxelMorphConfig":
        """Returns the configuration of the smallest legal grid that covers `shape`."""
        i, j, k = (-(-side // _MULTIPLE) * _MULTIPLE for side in shape)
        return cls((i, j, k))

    @property
    def title(self) -> str:
        """Name of the network in texts for people."""
        return "VoxelMorph-2"

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages in texts: there is one."""
        return ("dense 1",)


class VoxelMorphNetwork(nn.Module):
    """VoxelMorph-2 with the contract of a cascade that has one dense stage.

    If `recomputes_features` is set, training does not keep the features but recomputes
    them for the gradients.
    """

    def __init__(self, config: VoxelMorphConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes_features = False
        self.pairwise = build_voxelmorph(VOXELMORPH_2_FEATURES, integration_steps=0)

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        """Registers `moving` to `fixed`, both normalized images on the network's grid.

        Raises:
            ValueError: If the images differ in shape.
        """
        check_pair(fixed, moving)
        flow = self._flow(fixed, moving)
        (name,) = self.config.stage_names
        stage = Stage(
            name=name,
            is_affine=False,
            own_flow=flow,
            flow=flow,
            moved=warp(moving, flow),
            parts=FlowParts.dense(flow),
        )
        return Tweening(stage.flow, stage.moved, (stage,))

    def _flow(self, fixed: Tensor, moving: Tensor) -> Float[Tensor, "b 3 i j k"]:
        # The package's own forward pass, in parts so that its last layer runs in single
        # precision. Channels last in memory, which is fastest on a CPU.
        pair = torch.stack([moving[:, 0], fixed[:, 0]], dim=-1).permute(0, 4, 1, 2, 3)
        features = run_subnetwork(
            self.pairwise.model, pair, is_recomputed=self.recomputes_features
        )
        with without_autocast(features):
            return self.pairwise.flow_layer(features.to(fixed.dtype))


def build_voxelmorph(features: tuple[int, ...], *, integration_steps: int) -> Any:
    """Returns a network of the package: (moving, fixed) -> flow.

    Raises:
        MissingPackageError: If the package is not installed.
    """
    require("voxelmorph", extra="baselines", purpose="VoxelMorph")
    import voxelmorph

    return voxelmorph.nn.models.VxmPairwise(
        ndim=3,
        source_channels=1,
        target_channels=1,
        nb_features=features,
        integration_steps=integration_steps,
    )

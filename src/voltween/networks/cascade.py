"""The Volume Tweening Network: a cascade of registration subnetworks (paper IV-A)."""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from voltween.errors import InputError
from voltween.networks.affine import AffineSubnetwork
from voltween.networks.blocks import run_subnetwork
from voltween.networks.dense import DenseSubnetwork
from voltween.ops import FlowParts, affine_flow, compose, warp

_FEWEST_HALVINGS = 3


@dataclass(frozen=True)
class CascadeConfig:
    """Which subnetworks, on which grid, how wide and how deep.

    Raises:
        InputError: If the stages are not A?D*, the shape cannot be halved three times,
            or a number is out of range.
    """

    stages: str = "ADDD"
    """Subnetworks in order: at most one A (affine), first; then any number of D."""
    shape: tuple[int, int, int] = (128, 128, 128)
    """Voxels of the grid the network works on."""
    channels: int = 16
    """Channels after the first halving; they double with each further one."""
    levels: int = 6
    """Halvings of the dense subnetworks; fewer where the shape allows no more."""
    affine_levels: int = 5
    """Halvings of the affine subnetwork, likewise. The paper's is 5, RCN's 6."""
    flow_multiplier: float = 1.0
    """Factor on the output of every dense subnetwork."""

    def __post_init__(self) -> None:
        if not re.fullmatch("A?D*", self.stages) or not self.stages:
            raise InputError(
                "stages must be at most one A followed by any number of D, such as "
                f"'ADD', got {self.stages!r}"
            )
        if min(self.channels, self.levels, self.affine_levels) < 1:
            raise InputError("channels, levels and affine_levels must be at least 1")
        multiple = 2**_FEWEST_HALVINGS
        if len(self.shape) != 3 or any(n < 1 or n % multiple for n in self.shape):
            nearest = tuple(max(1, round(n / multiple)) * multiple for n in self.shape)
            raise InputError(
                f"each side of shape must be a multiple of {multiple} voxels, got "
                f"{self.shape}; the nearest legal shape is {nearest}"
            )

    @property
    def halvings(self) -> int:
        """How often the dense subnetworks halve the grid."""
        return min(self.levels, self._most_halvings)

    @property
    def affine_halvings(self) -> int:
        """How often the affine subnetwork halves the grid."""
        return min(self.affine_levels, self._most_halvings)

    @property
    def title(self) -> str:
        """What people call it."""
        return self.stages

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages for people: affine, dense 1, dense 2, ..."""
        dense = tuple(f"dense {n + 1}" for n in range(self.stages.count("D")))
        return ("affine", *dense) if self.stages.startswith("A") else dense

    @property
    def _most_halvings(self) -> int:
        divisor = math.gcd(*self.shape)
        return (divisor & -divisor).bit_length() - 1  # power of 2 in the divisor


class Stage(NamedTuple):
    """What one subnetwork of the cascade did.

    Flows are in voxels. `own_flow` is what this subnetwork predicted; `flow` is all
    flows so far, composed; `moved` is the original moving image warped by `flow`: one
    tweening frame. `parts` are the affine part of `flow` and all the rest, the dense
    part: `flow` = affine after dense (eq. 19).
    """

    is_affine: bool
    own_flow: Float[Tensor, "b 3 i j k"]
    flow: Float[Tensor, "b 3 i j k"]
    moved: Float[Tensor, "b 1 i j k"]
    parts: FlowParts


class Tweening(NamedTuple):
    """Result of the cascade: final flow (voxels), final moved image, and all stages."""

    flow: Float[Tensor, "b 3 i j k"]
    moved: Float[Tensor, "b 1 i j k"]
    stages: tuple[Stage, ...]


class VolumeTweeningNetwork(nn.Module):
    """Cascade of one affine and several dense subnetworks (paper IV-A, figure 2).

    Every subnetwork sees the fixed image and the current moving image, which is always
    the original moving image warped once by the composed flow so far.

    If `recomputes_features` is set, training keeps no features of the subnetworks but
    computes them anew for the gradients: less memory for a third more time.
    """

    def __init__(self, config: CascadeConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes_features = False
        self.affine = (
            AffineSubnetwork(config.shape, config.channels, config.affine_halvings)
            if config.stages.startswith("A")
            else None
        )
        self.dense = nn.ModuleList(
            DenseSubnetwork(config.channels, config.halvings, config.flow_multiplier)
            for _ in range(config.stages.count("D"))
        )

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        """Register `moving` to `fixed`, both normalized images on the network's grid.

        Raises:
            ValueError: If the images differ in shape or do not fit the network.
        """
        check_pair(fixed, moving)
        stages = list(self._affine_stage(fixed, moving))
        for subnetwork in self.dense:
            current = stages[-1] if stages else _at_rest(moving)
            own_flow = run_subnetwork(
                subnetwork,
                fixed,
                current.moved,
                is_recomputed=self.recomputes_features,
            )
            stages.append(_deform(current, own_flow, moving))
        return Tweening(stages[-1].flow, stages[-1].moved, tuple(stages))

    def _affine_stage(self, fixed: Tensor, moving: Tensor) -> tuple[Stage, ...]:
        if self.affine is None:
            return ()
        matrix, translation = run_subnetwork(
            self.affine, fixed, moving, is_recomputed=self.recomputes_features
        )
        flow = affine_flow(matrix, translation, fixed.shape[2:])
        parts = FlowParts(matrix, translation, _rest(moving))
        return (Stage(True, flow, flow, warp(moving, flow), parts),)


def check_pair(fixed: Tensor, moving: Tensor) -> None:
    """Refuse what is not a batch of pairs of images.

    Raises:
        ValueError: If the images differ in shape or have not one channel.
    """
    if fixed.shape != moving.shape or fixed.ndim != 5 or fixed.shape[1] != 1:
        raise ValueError(
            "fixed and moving must both have shape (B, 1, I, J, K), got "
            f"{tuple(fixed.shape)} and {tuple(moving.shape)}"
        )


def _deform(current: Stage, own_flow: Tensor, moving: Tensor) -> Stage:
    """The stage after `current` whose subnetwork predicted `own_flow`."""
    is_first = current.is_affine
    before = current.parts
    dense_flow = own_flow if is_first else compose(before.dense_flow, own_flow)
    parts = before._replace(dense_flow=dense_flow)
    flow = parts.flow
    return Stage(
        is_affine=False,
        own_flow=own_flow,
        flow=flow,
        moved=warp(moving, flow),
        parts=parts,
    )


def _at_rest(moving: Tensor) -> Stage:
    rest = _rest(moving)
    return Stage(True, rest, rest, moving, FlowParts.dense(rest))


def _rest(moving: Tensor) -> Tensor:
    """A flow of zeros that takes no memory."""
    return moving.new_zeros(1).expand(len(moving), 3, *moving.shape[2:])

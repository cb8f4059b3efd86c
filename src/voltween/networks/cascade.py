"""The Volume Tweening Network: a cascade of registration subnetworks (paper IV-A)."""

import math
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from voltween.errors import InputError
from voltween.networks.affine import AffineSubnetwork
from voltween.networks.blocks import nearest_multiples, run_subnetwork
from voltween.networks.convolution import Padding, check_padding
from voltween.networks.dense import DenseSubnetwork
from voltween.networks.edges import Sight, check_sight, edges
from voltween.ops import FlowParts, affine_flow, compose, warp

RCN_FLOW_MULTIPLIER = 20.0
"""Flow multiplier of one dense subnetwork in the authors' later code (RCN); n of them
have an n-th of it each."""

_FEWEST_HALVINGS = 3


@dataclass(frozen=True)
class CascadeConfig:
    """Configuration of a cascade: its subnetworks, grid, width and depth.

    Raises:
        InputError: If the stages are not A?D*, the shape cannot be halved three times,
            a number is out of range, or the padding is unknown.
    """

    stages: str = "ADDD"
    """Subnetworks in order: at most one A (affine), first; then any number of D."""
    shape: tuple[int, int, int] = (128, 128, 128)
    """Shape of the network's grid, in voxels."""
    channels: int = 16
    """Channels after the first halving; they double with each further one."""
    levels: int = 6
    """Halvings of the dense subnetworks; fewer where the shape allows no more."""
    affine_levels: int = 5
    """Halvings of the affine subnetwork, likewise: 5 in the paper, 6 in RCN."""
    flow_multiplier: float = 1.0
    """Factor on the output of every dense subnetwork."""
    repeats: int = 1
    """Passes of every dense subnetwork, one after another with the same weights."""
    padding: Padding = "symmetric"
    """Zeros around the features of a convolution of stride 2: one voxel on both sides,
    or as TensorFlow's SAME, which pads an even side by one voxel at its end only."""
    sees: Sight = "intensities"
    """What the subnetworks see of an image: its intensities, or its edges, which a
    change of contrast mostly leaves as they are."""

    def __post_init__(self) -> None:
        if not re.fullmatch("A?D*", self.stages) or not self.stages:
            raise InputError(
                about="stages",
                expected="at most one A followed by any number of D, such as 'ADD'",
                got=repr(self.stages),
            )
        for name in ("channels", "levels", "affine_levels", "repeats"):
            if getattr(self, name) < 1:
                raise InputError(
                    about=name, expected="at least 1", got=getattr(self, name)
                )
        check_padding(self.padding)
        check_sight(self.sees)
        multiple = 2**_FEWEST_HALVINGS
        if len(self.shape) != 3 or any(n < 1 or n % multiple for n in self.shape):
            nearest = nearest_multiples(self.shape, multiple)
            raise InputError(
                about="shape",
                expected=f"three sides that are multiples of {multiple} voxels",
                got=self.shape,
                advice=f"the nearest legal shape is {nearest}",
            )

    @classmethod
    def of_rcn(
        cls, stages: str, shape: tuple[int, int, int], **fields: Any
    ) -> "CascadeConfig":
        """Returns the configuration of the authors' later code for these stages.

        The affine subnetwork goes down to 2^3 of 128^3 voxels, strided convolutions are
        padded as in TensorFlow, and the dense subnetworks share a flow multiplier.

        Args:
            stages: Subnetworks in order.
            shape: Shape of the grid, in voxels.
            fields: Further fields, and those that are to differ.
        """
        multiplier = RCN_FLOW_MULTIPLIER / max(stages.count("D"), 1)
        defaults: dict[str, Any] = {
            "affine_levels": 6,
            "flow_multiplier": multiplier,
            "padding": "same-tf",
        }
        return cls(stages, shape, **defaults | fields)

    @property
    def halvings(self) -> int:
        """Number of times that the dense subnetworks halve the grid."""
        return min(self.levels, self._most_halvings)

    @property
    def affine_halvings(self) -> int:
        """Number of times that the affine subnetwork halves the grid."""
        return min(self.affine_levels, self._most_halvings)

    @property
    def title(self) -> str:
        """Name of the network in texts for people."""
        passes = f" of {self.repeats} passes" if self.repeats > 1 else ""
        return self.stages + passes

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Names of the stages in texts: affine, dense 1, dense 2, ...

        With repeats: affine, dense 1 pass 1, dense 1 pass 2, ..., dense 2 pass 1, ...
        """
        affine = ("affine",) if self.stages.startswith("A") else ()
        return (*affine, *self.dense_stage_names)

    @property
    def dense_stage_names(self) -> tuple[str, ...]:
        """Names of the dense stages: one per pass of a dense subnetwork."""
        return tuple(
            f"dense {number}" + (f" pass {turn}" if self.repeats > 1 else "")
            for number in range(1, self.stages.count("D") + 1)
            for turn in range(1, self.repeats + 1)
        )

    @property
    def _most_halvings(self) -> int:
        divisor = math.gcd(*self.shape)
        return (divisor & -divisor).bit_length() - 1  # power of 2 in the divisor


class Stage(NamedTuple):
    """One pass of a subnetwork of the cascade; flows are in voxels."""

    name: str
    """Affine, dense 1, dense 2, ...: the name in `CascadeConfig.stage_names`."""
    is_affine: bool
    own_flow: Float[Tensor, "b 3 i j k"]
    """The flow that this subnetwork predicted."""
    flow: Float[Tensor, "b 3 i j k"]
    """All flows up to this stage, composed."""
    moved: Float[Tensor, "b 1 i j k"]
    """The original moving image warped by `flow`: one tweening frame."""
    parts: FlowParts
    """`flow` as an affine part after a dense part (eq. 19)."""


class Tweening(NamedTuple):
    """Result of a network: final flow (voxels), final moved image, and all stages."""

    flow: Float[Tensor, "b 3 i j k"]
    moved: Float[Tensor, "b 1 i j k"]
    stages: tuple[Stage, ...]


class VolumeTweeningNetwork(nn.Module):
    """Cascade of one affine and several dense subnetworks (paper IV-A, figure 2).

    Every subnetwork gets the fixed image and the current moving image, which is always
    the original moving image warped once by the flow composed so far. If
    `repeats` is above 1, every dense subnetwork is applied that often in a row, and
    each pass is a stage of its own.

    If `recomputes_features` is set, training does not keep the features of the
    subnetworks but recomputes them for the gradients: less memory, a third more time.
    """

    def __init__(self, config: CascadeConfig) -> None:
        super().__init__()
        self.config = config
        self.recomputes_features = False
        self.affine = (
            AffineSubnetwork(
                config.shape, config.channels, config.affine_halvings, config.padding
            )
            if config.stages.startswith("A")
            else None
        )
        self.dense = nn.ModuleList(
            DenseSubnetwork(
                config.channels,
                config.halvings,
                config.flow_multiplier,
                config.padding,
            )
            for _ in range(config.stages.count("D"))
        )

    def forward(
        self, fixed: Float[Tensor, "b 1 i j k"], moving: Float[Tensor, "b 1 i j k"]
    ) -> Tweening:
        """Registers `moving` to `fixed`, both normalized images on the network's grid.

        Raises:
            ValueError: If the images differ in shape or do not fit the network.
        """
        check_pair(fixed, moving)
        seen = self._see(fixed)
        stages = list(self._affine_stage(seen, moving))
        passes = [dense for dense in self.dense for _ in range(self.config.repeats)]
        for name, subnetwork in zip(self.config.dense_stage_names, passes, strict=True):
            current = stages[-1] if stages else _identity_stage(moving)
            own_flow = run_subnetwork(
                subnetwork,
                seen,
                self._see(current.moved),
                is_recomputed=self.recomputes_features,
            )
            stages.append(_deform(name, current, own_flow, moving))
        return Tweening(stages[-1].flow, stages[-1].moved, tuple(stages))

    def _see(self, image: Tensor) -> Tensor:
        """An image as the subnetworks get it."""
        return edges(image) if self.config.sees == "edges" else image

    def _affine_stage(self, seen: Tensor, moving: Tensor) -> tuple[Stage, ...]:
        if self.affine is None:
            return ()
        matrix, translation = run_subnetwork(
            self.affine,
            seen,
            self._see(moving),
            is_recomputed=self.recomputes_features,
        )
        flow = affine_flow(matrix, translation, moving.shape[2:])
        return (
            Stage(
                name="affine",
                is_affine=True,
                own_flow=flow,
                flow=flow,
                moved=warp(moving, flow),
                parts=FlowParts(matrix, translation, _zero_flow(moving)),
            ),
        )


def check_pair(fixed: Tensor, moving: Tensor) -> None:
    """Refuses images that are not a batch of pairs.

    Raises:
        ValueError: If the images differ in shape or do not have one channel.
    """
    if fixed.shape != moving.shape or fixed.ndim != 5 or fixed.shape[1] != 1:
        raise ValueError(
            "fixed and moving must both have shape (B, 1, I, J, K), got "
            f"{tuple(fixed.shape)} and {tuple(moving.shape)}"
        )


def _deform(name: str, current: Stage, own_flow: Tensor, moving: Tensor) -> Stage:
    """Returns the stage after `current` whose subnetwork predicted `own_flow`."""
    dense_flow = own_flow
    if not current.is_affine:  # else there is no dense flow yet
        dense_flow = compose(current.parts.dense_flow, own_flow)
    parts = current.parts._replace(dense_flow=dense_flow)
    flow = parts.flow
    return Stage(
        name=name,
        is_affine=False,
        own_flow=own_flow,
        flow=flow,
        moved=warp(moving, flow),
        parts=parts,
    )


def _identity_stage(moving: Tensor) -> Stage:
    """Stage before a first dense subnetwork: nothing has moved."""
    flow = _zero_flow(moving)
    return Stage(
        name="identity",
        is_affine=True,
        own_flow=flow,
        flow=flow,
        moved=moving,
        parts=FlowParts.dense(flow),
    )


def _zero_flow(moving: Tensor) -> Tensor:
    """A flow of zeros that takes no memory."""
    return moving.new_zeros(1).expand(len(moving), 3, *moving.shape[2:])

"""Refinement: the dense flow of a network polished on the pair itself.

The network's answer is the start, and what is sought is a small change of it: an update
of the flow that makes the images more alike, is smooth itself and lets nothing fold. It
is found by gradient descent (Adam), from coarse control points to every voxel.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.errors import InputError
from voltween.jacobian import jacobian_determinant
from voltween.losses import total_variation_loss
from voltween.networks.cascade import Stage
from voltween.similarities import Similarity, similarity_loss
from voltween.warp import compose_affine, warp

_NO_GRADIENT = 0.03  # of the loss around a control point, a voxel: less is no reason
_SMALLEST_DETERMINANT = 0.2  # what is compressed further is pushed back


class Level(NamedTuple):
    """One pass of the search."""

    control_voxels: int
    """Distance of the control points; between them the update is linear."""
    steps: int
    step_voxels: float
    """How far a control point moves in a step, at most about."""


@dataclass(frozen=True)
class Refinement:
    """How a flow is polished on the pair itself.

    Raises:
        InputError: If there is no level, or `window_voxels` is not odd.
    """

    levels: tuple[Level, ...]
    """One after the other, each from where the one before ended."""
    similarity: Similarity = "local correlation"
    window_voxels: int = 5
    """Side of the cubes of the local correlation: an odd number."""
    update_variation: float = 1.0
    """Weight of the total variation (eq. 10) of each level's update."""
    folding: float = 10.0
    """Weight of what the Jacobian determinant lacks to 0.2, mean over the voxels."""

    def __post_init__(self) -> None:
        if not self.levels or min(level.control_voxels for level in self.levels) < 1:
            raise InputError(
                "refinement needs levels with control points at least 1 voxel apart, "
                f"got {self.levels}"
            )
        if self.window_voxels < 1 or self.window_voxels % 2 == 0:
            raise InputError(
                f"window_voxels must be odd and at least 1, got {self.window_voxels}"
            )


FAST = Refinement((Level(2, 15, 0.5), Level(1, 10, 0.2)), update_variation=2.0)
"""Some times as long as the network."""

ACCURATE = Refinement((Level(4, 15, 0.5), Level(2, 20, 0.5), Level(1, 20, 0.2)))
"""Where more steps gained nothing."""

Effort = Literal["fast", "accurate"]
REFINEMENTS: dict[Effort, Refinement] = {"fast": FAST, "accurate": ACCURATE}


def refined(
    stage: Stage,
    fixed: Float[Tensor, "1 1 i j k"],
    moving: Float[Tensor, "1 1 i j k"],
    refinement: Refinement,
) -> Stage:
    """The stage with its dense flow (voxels) polished; its affine part stays.

    Images from 0 to 1 on the network's grid. The same images give the same flow.
    """
    # Copies: what a network gives in inference has no part in gradients.
    stage = Stage(stage.is_affine, *(part.clone() for part in stage[1:]))
    search = _Search(stage, fixed, moving, refinement)
    flow = start = stage.dense_flow
    for level in refinement.levels:
        flow = search.run(flow, level)
    total = compose_affine(stage.matrix, stage.translation, flow)
    return stage._replace(
        is_affine=False,
        own_flow=flow - start,
        flow=total,
        moved=warp(moving, total),
        dense_flow=flow,
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """The pair, and what is minimised over updates of a flow."""

    stage: Stage
    fixed: Tensor
    moving: Tensor
    refinement: Refinement

    def run(self, start: Tensor, level: Level) -> Tensor:
        """The flow after one level."""
        shape = [-(-n // level.control_voxels) for n in start.shape[2:]]
        control = start.new_zeros(1, 3, *[max(2, n) for n in shape])
        control.requires_grad_()
        optimizer = torch.optim.Adam([control], lr=level.step_voxels, eps=_NO_GRADIENT)
        # A mean over voxels, it becomes a sum of what the control points hold each.
        scale = control[0, 0].numel()
        for _ in range(level.steps):
            optimizer.zero_grad()
            loss = self._loss(start, _spread(control, start))
            (scale * loss).backward()
            optimizer.step()
        return (start + _spread(control, start)).detach()

    def _loss(self, start: Tensor, update: Tensor) -> Float[Tensor, ""]:
        matrix, translation = self.stage.matrix, self.stage.translation
        flow = start + update
        moved = warp(self.moving, compose_affine(matrix, translation, flow))
        alike = similarity_loss(
            self.refinement.similarity, window_voxels=self.refinement.window_voxels
        )
        lack = (_SMALLEST_DETERMINANT - jacobian_determinant(flow)).clamp_min(0)
        return (
            alike(self.fixed, moved)
            + self.refinement.update_variation * total_variation_loss(update)
            + self.refinement.folding * lack.mean()
        )


def _spread(
    control: Float[Tensor, "1 3 _ _ _"], like: Float[Tensor, "1 3 i j k"]
) -> Float[Tensor, "1 3 i j k"]:
    """The update of every voxel from that of the control points."""
    if control.shape == like.shape:
        return control
    return functional.interpolate(
        control, size=like.shape[2:], mode="trilinear", align_corners=True
    )

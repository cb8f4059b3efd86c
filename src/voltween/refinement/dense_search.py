"""The dense part of one pair's transform, found by gradient descent level by level."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.losses import total_variation_loss
from voltween.ops import (
    FlowParts,
    compose_affine,
    exponential,
    jacobian_determinant,
    warp,
)
from voltween.refinement.descent import Descent, Losses
from voltween.refinement.pair_tensors import PairTensors, SideTensors
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import Level

_SMALLEST_DETERMINANT = 0.2  # stronger compression is penalized


class DenseSearch:
    """One level: an update of the flow, or of the velocity, between control points."""

    def __init__(
        self, problem: Problem, parts: FlowParts, start: Tensor, level: Level
    ) -> None:
        self._problem, self._level, self._matrix = problem, level, parts.matrix
        self._pair = problem.pair.shrink(level.shrink)
        self._start = average_field(start, level.shrink)
        self._translation = parts.translation / level.shrink
        similarity = problem.refinement.similarity
        self._forward = problem.losses(self._pair, similarity)
        self._backward = (
            problem.losses(self._swap_sides(), similarity)
            if problem.refinement.symmetric
            else None
        )

    def run(self, number: int) -> Float[Tensor, "1 3 i j k"]:
        """Returns the update, in voxels of the whole grid.

        `number` is that of the level, from 1.
        """
        problem, level = self._problem, self._level
        shape = [max(2, -(-n // level.control_voxels)) for n in self._pair.shape]
        control = self._start.new_zeros(1, 3, *shape, requires_grad=True)
        Descent(
            level.steps,
            level.step_voxels,
            gradient_scale=float(control[0, 0].numel()),
            tolerance=problem.refinement.tolerance,
        ).run(
            control,
            lambda step: self._losses(_spread(control, self._pair.shape), step),
            on_step=problem.reporter("dense", number, level),
            watch=problem.watch,
        )
        update = _spread(control.detach(), self._pair.shape)
        return _enlarge(update, level.shrink)

    def _losses(self, update: Float[Tensor, "1 3 i j k"], step: int) -> Losses:
        refinement = self._problem.refinement
        field = self._start + update
        flow = exponential(field) if refinement.diffeomorphic else field
        total_flow = self._add_affine(flow)
        similarity = self._forward.similarity_loss(total_flow)
        if self._backward is not None:
            backward = self._backward.similarity_loss(exponential(-field))
            similarity = (similarity + backward) / 2
        lack = (_SMALLEST_DETERMINANT - jacobian_determinant(flow)).clamp_min(0)
        total = (
            similarity
            + refinement.update_variation * total_variation_loss(update)
            + refinement.folding * lack.mean()
            + refinement.overlap * self._forward.overlap_loss(total_flow, step)
            + refinement.landmarks * self._forward.landmark_loss(total_flow)
        )
        return Losses(total, similarity)

    def _add_affine(
        self, flow: Float[Tensor, "1 3 i j k"]
    ) -> Float[Tensor, "1 3 i j k"]:
        return compose_affine(self._matrix, self._translation, flow)

    def _swap_sides(self) -> PairTensors:
        """The fixed side in place of the moving one, and this after the affine part."""
        flow = self._add_affine(torch.zeros_like(self._start))
        fixed, moving = self._pair.fixed, self._pair.moving
        mask = None if moving.mask is None else warp(moving.mask, flow)
        return PairTensors(
            fixed=SideTensors(warp(moving.image, flow), mask),
            moving=SideTensors(fixed.image, fixed.mask),
        )


def _enlarge(
    field: Float[Tensor, "1 3 i j k"], factor: int
) -> Float[Tensor, "1 3 i2 j2 k2"]:
    """The field on voxels `factor` times as narrow, in units of these voxels."""
    if factor == 1:
        return field
    return factor * functional.interpolate(
        field, scale_factor=factor, mode="trilinear", align_corners=False
    )


def _spread(
    control: Float[Tensor, "1 3 _ _ _"], shape: torch.Size
) -> Float[Tensor, "1 3 i j k"]:
    """Interpolates the update from the control points to every voxel."""
    if control.shape[2:] == shape:
        return control
    return functional.interpolate(
        control, size=shape, mode="trilinear", align_corners=True
    )

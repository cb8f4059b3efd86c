"""The dense part of one pair, found by gradient descent, level by level."""

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
from voltween.refinement.evidence import Evidence
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import Level

_SMALLEST_DETERMINANT = 0.2  # what is compressed further is pushed back


class DenseSearch:
    """One level: an update of the flow, or of the velocity, between control points."""

    def __init__(
        self, problem: Problem, parts: FlowParts, start: Tensor, level: Level
    ) -> None:
        self._problem, self._level, self._matrix = problem, level, parts.matrix
        self._evidence = problem.evidence.shrunk(level.shrink)
        self._start = average_field(start, level.shrink)
        self._translation = parts.translation / level.shrink
        similarity = problem.refinement.similarity
        self._matching = problem.matching(self._evidence, similarity)
        self._backward = (
            problem.matching(self._swapped(), similarity)
            if problem.refinement.symmetric
            else None
        )

    def run(self, number: int) -> Float[Tensor, "1 3 i j k"]:
        """The update, in voxels of the whole grid."""
        problem, level = self._problem, self._level
        shape = [max(2, -(-n // level.control_voxels)) for n in self._evidence.shape]
        control = self._start.new_zeros(1, 3, *shape, requires_grad=True)
        Descent(
            level.steps,
            level.step_voxels,
            gradient_scale=float(control[0, 0].numel()),
            tolerance=problem.refinement.tolerance,
        ).run(
            control,
            lambda step: self._losses(_spread(control, self._evidence.shape), step),
            on_step=problem.reporter("dense", number, level),
            watch=problem.watch,
        )
        update = _spread(control.detach(), self._evidence.shape)
        return _widened(update, level.shrink)

    def _losses(self, update: Float[Tensor, "1 3 i j k"], step: int) -> Losses:
        refinement = self._problem.refinement
        field = self._start + update
        flow = exponential(field) if refinement.diffeomorphic else field
        total_flow = self._after_affine(flow)
        similarity = self._matching.similarity_loss(total_flow)
        if self._backward is not None:
            back = self._backward.similarity_loss(exponential(-field))
            similarity = (similarity + back) / 2
        lack = (_SMALLEST_DETERMINANT - jacobian_determinant(flow)).clamp_min(0)
        total = (
            similarity
            + refinement.update_variation * total_variation_loss(update)
            + refinement.folding * lack.mean()
            + refinement.overlap * self._matching.overlap_loss(total_flow, step)
            + refinement.landmarks * self._matching.landmark_loss(total_flow)
        )
        return Losses(total, similarity)

    def _after_affine(
        self, flow: Float[Tensor, "1 3 i j k"]
    ) -> Float[Tensor, "1 3 i j k"]:
        return compose_affine(self._matrix, self._translation, flow)

    def _swapped(self) -> Evidence:
        """The fixed image to be moved onto the moving one, that affinely moved."""
        pair = self._evidence
        flow = self._after_affine(torch.zeros_like(self._start))
        mask = None if pair.moving_mask is None else warp(pair.moving_mask, flow)
        return Evidence(warp(pair.moving, flow), pair.fixed, mask, pair.fixed_mask)


def _widened(
    field: Float[Tensor, "1 3 i j k"], factor: int
) -> Float[Tensor, "1 3 i2 j2 k2"]:
    """Back on voxels that many times as narrow, in these."""
    if factor == 1:
        return field
    return factor * functional.interpolate(
        field, scale_factor=factor, mode="trilinear", align_corners=False
    )


def _spread(
    control: Float[Tensor, "1 3 _ _ _"], shape: torch.Size
) -> Float[Tensor, "1 3 i j k"]:
    """The update of every voxel from that of the control points."""
    if control.shape[2:] == shape:
        return control
    return functional.interpolate(
        control, size=shape, mode="trilinear", align_corners=True
    )

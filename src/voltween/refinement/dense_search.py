"""The dense part of one pair's transform, found by gradient descent level by level."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.ops import (
    FlowParts,
    add_folding,
    add_gradient,
    add_variation,
    exponential,
    gather,
    spread,
    warp,
)
from voltween.refinement.descent import Descent, Evaluation, pull_back
from voltween.refinement.pair_losses import AffineNumbers, PairLosses
from voltween.refinement.pair_tensors import PairTensors, SideTensors
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import Level

_SMALLEST_DETERMINANT = 0.2  # stronger compression is penalized


class DenseSearch:
    """One level: an update of the flow, or of the velocity, between control points."""

    def __init__(
        self, problem: Problem, parts: FlowParts, start: Tensor, level: Level
    ) -> None:
        self._problem, self._level = problem, level
        self._pair = problem.pair.shrink(level.shrink)
        self._start = average_field(start, level.shrink)
        self._affine = AffineNumbers(parts.matrix, parts.translation / level.shrink)
        self._forward = problem.dense_losses(self._pair)
        self._backward = (
            problem.dense_losses(self._swap_sides())
            if problem.refinement.symmetric
            else None
        )

    def run(self, number: int) -> Float[Tensor, "1 3 i j k"]:
        """Returns the update, in voxels of the whole grid.

        `number` is that of the level, from 1.
        """
        problem, level = self._problem, self._level
        shape = [max(2, -(-n // level.control_voxels)) for n in self._pair.shape]
        control = self._start.new_zeros(1, 3, *shape)
        Descent(level.steps, level.step_voxels, problem.refinement.tolerance).run(
            control,
            lambda step: self._evaluate(control, step),
            on_step=problem.reporter("dense", number, level),
            watch=problem.watch,
        )
        update = spread(control, self._pair.shape)
        return _enlarge(update, level.shrink)

    def _evaluate(self, control: Float[Tensor, "1 3 _ _ _"], step: int) -> Evaluation:
        # Loss and gradient of the field are computed together, term by term, without
        # autograd.
        update = spread(control, self._pair.shape)
        field = self._start + update
        gradient = torch.zeros_like(field)
        scale = float(control[0, 0].numel())
        similarity, rest = self._add_losses(field, step, scale, gradient)
        share = self._problem.refinement.update_variation / update.numel()
        rest += share * add_variation(update, scale=scale * share, gradient=gradient)
        return Evaluation(similarity + rest, similarity, gather(gradient, control))

    def _add_losses(
        self,
        field: Float[Tensor, "1 3 i j k"],
        step: int,
        scale: float,
        gradient: Tensor,
    ) -> tuple[float, float]:
        """The similarity loss and the sum of the others; adds their gradients."""
        if not self._problem.refinement.diffeomorphic:
            return (
                self._forward.add_similarity(
                    self._affine, field, scale=scale, gradient=gradient
                ),
                self._add_others(field, step, scale, gradient),
            )
        with torch.enable_grad():
            velocity = field.requires_grad_()
            flows = [exponential(velocity)]
            if self._backward is not None:
                flows.append(exponential(-velocity))
        by_flow = [torch.zeros_like(flow) for flow in flows]
        both = zip(self._directions(), flows, by_flow, strict=True)
        similarities = [
            losses.add_similarity(
                affine, flow.detach(), scale=scale / len(flows), gradient=of_flow
            )
            for (losses, affine), flow, of_flow in both
        ]
        rest = self._add_others(flows[0].detach(), step, scale, by_flow[0])
        gradient += pull_back(by_flow, through=flows, to=velocity)
        return sum(similarities) / len(flows), rest

    def _directions(self) -> list[tuple[PairLosses, AffineNumbers]]:
        """The losses from fixed to moving and, if symmetric, back."""
        if self._backward is None:
            return [(self._forward, self._affine)]
        rest = AffineNumbers(*(torch.zeros_like(part) for part in self._affine))
        return [(self._forward, self._affine), (self._backward, rest)]

    def _add_others(
        self,
        flow: Float[Tensor, "1 3 i j k"],
        step: int,
        scale: float,
        gradient: Tensor,
    ) -> float:
        """The losses of the flow but the similarity; adds their gradients."""
        refinement = self._problem.refinement
        share = refinement.folding / flow[0, 0].numel()
        folding = share * add_folding(
            flow, _SMALLEST_DETERMINANT, scale=scale * share, gradient=gradient
        )
        if not self._forward.has_guidance:
            return folding

        def guidance(flow: Tensor) -> Tensor:
            total_flow = self._affine.after(flow)
            return refinement.overlap * self._forward.overlap_loss(
                total_flow, step
            ) + refinement.landmarks * self._forward.landmark_loss(total_flow)

        return folding + add_gradient(guidance, flow, scale=scale, gradient=gradient)

    def _swap_sides(self) -> PairTensors:
        """The fixed side in place of the moving one, and this after the affine part."""
        flow = self._affine.after(torch.zeros_like(self._start))
        fixed, moving = self._pair.fixed, self._pair.moving
        mask, features = (
            None if volume is None else warp(volume, flow)
            for volume in (moving.mask, moving.features)
        )
        return PairTensors(
            fixed=SideTensors(warp(moving.image, flow), mask, features=features),
            moving=SideTensors(fixed.image, fixed.mask, features=fixed.features),
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

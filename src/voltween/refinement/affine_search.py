"""The affine part of one pair's transform, found by gradient descent."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import Similarity, determinant_loss, orthogonality_loss
from voltween.ops import FlowParts, compose_affine
from voltween.refinement.descent import Descent, Losses
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import AffineLevel, Refinement

_RIGIDITY = 0.1  # weight of both terms on the affine matrix, as in Table I
_GRADIENT_SCALE = 10.0
_TRIAL_STEPS = 12  # of every start, before all but the best are dropped
_KEPT_STARTS = 3
_SHIFT = 0.15  # of the starts, as a share of the grid's sides
_ROTATION = 0.35  # of the starts, in radians


class AffineSearch:
    """One level of the search.

    Its parameters are displacements in voxels, 12 per start: of the centers of the
    grid's three faces (9), and of the grid's center (3).
    """

    def __init__(self, problem: Problem, parts: FlowParts, level: AffineLevel) -> None:
        self._problem, self._level = problem, level
        pair = problem.pair.shrink(level.shrink)
        self._losses_of_pair = problem.losses(
            pair, _affine_similarity(problem.refinement)
        )
        self._half = pair.fixed.image.new_tensor(list(pair.shape)) / 2
        self._dense_flow = average_field(parts.dense_flow, level.shrink)
        faces = parts.matrix[0] * self._half
        center = parts.translation[0] / level.shrink
        self._start = torch.cat([faces.flatten(), center])

    def run(self, number: int, *, is_open: bool) -> tuple[Tensor, Tensor]:
        """Returns matrix and translation, in voxels of the whole grid.

        `number` is that of the level, from 1. An open search tries several shifts and
        rotations of the start, and continues the best of them.
        """
        parameters = self._start[None]
        if is_open:
            trials = self._descend(parameters + self._offsets(), number, _TRIAL_STEPS)
            parameters = trials[self._rank(trials)[:_KEPT_STARTS]]
        parameters = self._descend(parameters, number, self._level.steps)
        best = parameters[self._rank(parameters)[:1]]
        matrix, translation = self._to_affine(best)
        return matrix, translation * self._level.shrink

    def _descend(
        self, starts: Float[Tensor, "n 12"], number: int, steps: int
    ) -> Float[Tensor, "n 12"]:
        parameters = starts.clone().requires_grad_()
        problem = self._problem
        Descent(
            steps,
            self._level.step_voxels,
            gradient_scale=_GRADIENT_SCALE * len(parameters),
            tolerance=problem.refinement.tolerance,
        ).run(
            parameters,
            lambda step: self._losses(parameters),
            on_step=problem.reporter("affine", number, self._level),
            watch=problem.watch,
        )
        return parameters.detach()

    def _rank(self, parameters: Float[Tensor, "n 12"]) -> list[int]:
        """Indices of the rows, from the best to the worst."""
        with torch.no_grad():
            totals = [self._losses(row[None]).total.item() for row in parameters]
        return sorted(range(len(totals)), key=totals.__getitem__)

    def _losses(self, parameters: Float[Tensor, "n 12"]) -> Losses:
        matrix, translation = self._to_affine(parameters)
        inner = self._dense_flow.expand(len(parameters), -1, -1, -1, -1)
        flow = compose_affine(matrix, translation, inner)
        similarity = self._losses_of_pair.similarity_loss(flow)
        rigidity = orthogonality_loss(matrix) + determinant_loss(matrix)
        landmarks = self._losses_of_pair.landmark_loss(flow)
        weight = self._problem.refinement.landmarks
        total = similarity + _RIGIDITY * rigidity + weight * landmarks
        return Losses(total, similarity)

    def _to_affine(self, parameters: Float[Tensor, "n 12"]) -> tuple[Tensor, Tensor]:
        """Matrix and translation, in voxels of this level."""
        return parameters[:, :9].reshape(-1, 3, 3) / self._half, parameters[:, 9:]

    def _offsets(self) -> Float[Tensor, "13 12"]:
        """No offset, then a shift along and a rotation about each axis, both ways."""
        offsets = self._start.new_zeros(13, 12)
        for axis in range(3):
            one, other = (axis + 1) % 3, (axis + 2) % 3
            for row, sign in ((1 + 2 * axis, 1.0), (2 + 2 * axis, -1.0)):
                turn = sign * _ROTATION
                offsets[row, 9 + axis] = sign * _SHIFT * 2 * self._half[axis]
                offsets[row + 6, 3 * one + other] = -turn * self._half[other]
                offsets[row + 6, 3 * other + one] = turn * self._half[one]
        return offsets


def _affine_similarity(refinement: Refinement) -> Similarity:
    """The similarity for scans that still lie apart, where local contrast misleads."""
    is_local = refinement.similarity in ("local correlation", "MIND-SSC")
    return "normalized mutual information" if is_local else refinement.similarity

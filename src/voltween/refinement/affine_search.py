"""The affine part of one pair, found by gradient descent."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import Similarity, determinant_loss, orthogonality_loss
from voltween.ops import FlowParts, compose_affine
from voltween.refinement.descent import Descent, Losses
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import AffineLevel, Refinement

_RIGIDITY = 0.1  # weight of both terms on the affine matrix, as in Table I
_AFFINE_SCALE = 10.0
_TRIAL_STEPS = 12  # after which most of the starts are given up
_KEPT_STARTS = 3
_SHIFT = 0.15  # of the starts, as a share of the grid's sides
_TURN = 0.35  # in radians


class AffineSearch:
    """One level: numbers are displacements in voxels, of the border and of the middle.

    Twelve a start: how far the middles of the grid's three faces move, then how far its
    middle does.
    """

    def __init__(self, problem: Problem, parts: FlowParts, level: AffineLevel) -> None:
        self._problem, self._level = problem, level
        evidence = problem.evidence.shrunk(level.shrink)
        self._matching = problem.matching(
            evidence, _affine_similarity(problem.refinement)
        )
        self._half = evidence.fixed.new_tensor(list(evidence.shape)) / 2
        self._dense_flow = average_field(parts.dense_flow, level.shrink)
        border = parts.matrix[0] * self._half
        middle = parts.translation[0] / level.shrink
        self._start = torch.cat([border.flatten(), middle])

    def run(self, number: int, *, is_open: bool) -> tuple[Tensor, Tensor]:
        """Matrix and translation, in voxels of the whole grid."""
        numbers = self._start[None]
        if is_open:
            many = self._descended(numbers + self._offsets(), number, _TRIAL_STEPS)
            numbers = many[self._ranking(many)[:_KEPT_STARTS]]
        numbers = self._descended(numbers, number, self._level.steps)
        matrix, translation = self._parts(numbers[self._ranking(numbers)[:1]])
        return matrix, translation * self._level.shrink

    def _descended(
        self, starts: Float[Tensor, "n 12"], number: int, steps: int
    ) -> Float[Tensor, "n 12"]:
        numbers = starts.clone().requires_grad_()
        problem = self._problem
        Descent(
            steps,
            self._level.step_voxels,
            gradient_scale=_AFFINE_SCALE * len(numbers),
            tolerance=problem.refinement.tolerance,
        ).run(
            numbers,
            lambda step: self._losses(numbers),
            on_step=problem.reporter("affine", number, self._level),
            watch=problem.watch,
        )
        return numbers.detach()

    def _ranking(self, numbers: Float[Tensor, "n 12"]) -> list[int]:
        """The rows from the best to the worst."""
        with torch.no_grad():
            totals = [self._losses(one[None]).total.item() for one in numbers]
        return sorted(range(len(totals)), key=totals.__getitem__)

    def _losses(self, numbers: Float[Tensor, "n 12"]) -> Losses:
        matrix, translation = self._parts(numbers)
        inner = self._dense_flow.expand(len(numbers), -1, -1, -1, -1)
        flow = compose_affine(matrix, translation, inner)
        similarity = self._matching.similarity_loss(flow)
        rigidity = orthogonality_loss(matrix) + determinant_loss(matrix)
        landmarks = self._matching.landmark_loss(flow)
        weight = self._problem.refinement.landmarks
        total = similarity + _RIGIDITY * rigidity + weight * landmarks
        return Losses(total, similarity)

    def _parts(self, numbers: Float[Tensor, "n 12"]) -> tuple[Tensor, Tensor]:
        return numbers[:, :9].reshape(-1, 3, 3) / self._half, numbers[:, 9:]

    def _offsets(self) -> Float[Tensor, "13 12"]:
        """None, and both ways a shift along and a turn about every axis."""
        offsets = self._start.new_zeros(13, 12)
        for axis in range(3):
            one, other = (axis + 1) % 3, (axis + 2) % 3
            for row, sign in ((1 + 2 * axis, 1.0), (2 + 2 * axis, -1.0)):
                offsets[row, 9 + axis] = sign * _SHIFT * 2 * self._half[axis]
                offsets[row + 6, 3 * one + other] = -sign * _TURN * self._half[other]
                offsets[row + 6, 3 * other + one] = sign * _TURN * self._half[one]
        return offsets


def _affine_similarity(refinement: Refinement) -> Similarity:
    """What is alike from afar: local contrast is of no use to scans that lie apart."""
    is_local = refinement.similarity in ("local correlation", "MIND-SSC")
    return "normalized mutual information" if is_local else refinement.similarity

"""The affine part of one pair's transform, found by gradient descent."""

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import (
    Similarity,
    SimilarityLoss,
    determinant_loss,
    orthogonality_loss,
)
from voltween.ops import FlowParts, compose_affine
from voltween.refinement.affine_parameters import (
    AffineParameters,
    FreeParameters,
    RigidParameters,
)
from voltween.refinement.descent import Descent, Losses, differentiate
from voltween.refinement.pair_tensors import PairTensors
from voltween.refinement.problem import Problem, average_field
from voltween.refinement.settings import (
    FEATURES,
    AffineLevel,
    Refinement,
    TransformKind,
)

_RIGIDITY = 0.1  # weight of both terms on the affine matrix, as in Table I
_GRADIENT_SCALE = 10.0
_TRIAL_STEPS = 12  # of every start, before all but the best are dropped
_KEPT_STARTS = 3


class AffineSearch:
    """One level of the search, among affine, similarity or rigid transforms."""

    def __init__(self, problem: Problem, parts: FlowParts, level: AffineLevel) -> None:
        self._problem, self._level = problem, level
        pair = problem.pair.shrink(level.shrink)
        self._losses_of_pair = problem.losses(
            pair, _affine_similarity(problem.refinement, level)
        )
        self._dense_flow = average_field(parts.dense_flow, level.shrink)
        scaled = parts._replace(translation=parts.translation / level.shrink)
        self._parameters = _choose_parameters(
            problem.refinement.transform, scaled, pair
        )

    def run(self, number: int, *, is_open: bool) -> tuple[Tensor, Tensor]:
        """Returns matrix and translation, in voxels of the whole grid.

        `number` is that of the level, from 1. An open search tries several shifts and
        rotations of the start, and continues the best of them.
        """
        parameters = self._parameters.start[None]
        if is_open:
            trials = self._descend(
                parameters + self._parameters.offsets(), number, _TRIAL_STEPS
            )
            parameters = trials[self._rank(trials)[:_KEPT_STARTS]]
        parameters = self._descend(parameters, number, self._level.steps)
        best = parameters[self._rank(parameters)[:1]]
        matrix, translation = self._parameters.to_affine(best)
        return matrix, translation * self._level.shrink

    def _descend(
        self, starts: Float[Tensor, "n p"], number: int, steps: int
    ) -> Float[Tensor, "n p"]:
        parameters = starts.clone().requires_grad_()
        problem, scale = self._problem, _GRADIENT_SCALE * len(parameters)
        Descent(steps, self._level.step_voxels, problem.refinement.tolerance).run(
            parameters,
            lambda step: differentiate(self._losses(parameters), parameters, scale),
            on_step=problem.reporter("affine", number, self._level),
            watch=problem.watch,
        )
        return parameters.detach()

    def _rank(self, parameters: Float[Tensor, "n p"]) -> list[int]:
        """Indices of the rows, from the best to the worst."""
        with torch.no_grad():
            totals = [self._losses(row[None]).total.item() for row in parameters]
        return sorted(range(len(totals)), key=totals.__getitem__)

    def _losses(self, parameters: Float[Tensor, "n p"]) -> Losses:
        matrix, translation = (
            numbers.to(self._dense_flow.dtype)
            for numbers in self._parameters.to_affine(parameters)
        )
        inner = self._dense_flow.expand(len(parameters), -1, -1, -1, -1)
        flow = compose_affine(matrix, translation, inner)
        similarity = self._losses_of_pair.similarity_loss(flow)
        rigidity = similarity.new_zeros(())
        if not self._problem.refinement.is_rigid:
            rigidity = orthogonality_loss(matrix) + determinant_loss(matrix)
        landmarks = self._losses_of_pair.landmark_loss(flow)
        weight = self._problem.refinement.landmarks
        total = similarity + _RIGIDITY * rigidity + weight * landmarks
        return Losses(total, similarity)


def _choose_parameters(
    kind: TransformKind, parts: FlowParts, pair: PairTensors
) -> AffineParameters:
    half = pair.fixed.image.new_tensor(list(pair.shape)) / 2
    if kind in ("affine", "deformable"):
        return FreeParameters(parts, half)
    has_scale = kind == "similarity"
    return RigidParameters(parts, half, spacing=pair.spacing, has_scale=has_scale)


def _affine_similarity(
    refinement: Refinement, level: AffineLevel
) -> Similarity | SimilarityLoss:
    """The similarity for scans that still lie apart, where local contrast misleads.

    The refinement's own where the level says that they lie close enough. A function of
    a user may be a local one. Learned features are not used here: what is compared
    beside them takes their place.
    """
    similarity = refinement.similarity
    if similarity == FEATURES:
        similarity = refinement.beside_features
    may_be_local = similarity in ("local correlation", "MIND-SSC")
    if (may_be_local or not isinstance(similarity, str)) and not level.is_close:
        return "normalized mutual information"
    return similarity

"""Losses of a pair under a flow: of its images, structures and landmarks."""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import Measure, dice_loss, landmark_distance
from voltween.ops import (
    MaskWeights,
    WarpedCorrelation,
    WarpedFeatures,
    add_gradient,
    compose_affine,
    runs_compiled,
    warp,
)
from voltween.refinement.pair_tensors import PairTensors

LEAST_UNMASKED_SHARE = 0.99
"""Share of a voxel that the mask must hold for the voxel to count."""
_LABELS_PER_STEP = 8  # of many structures; the next steps take the next ones


class AffineNumbers(NamedTuple):
    """The affine part A x + b of a flow, in voxels, with x from the grid's center."""

    matrix: Float[Tensor, "1 3 3"]
    translation: Float[Tensor, "1 3"]

    def after(self, inner: Float[Tensor, "1 3 i j k"]) -> Float[Tensor, "1 3 i j k"]:
        """The flow of this part after another flow."""
        return compose_affine(self.matrix, self.translation, inner)


class Term(NamedTuple):
    """Two images, or two sets of features, that are compared, and their weight."""

    fixed: Float[Tensor, "1 n i j k"]
    moving: Float[Tensor, "1 n i j k"]
    measure: Measure
    weight: float


class PairLosses:
    """The losses of a pair, with everything prepared that is the same for all flows.

    Features of the moving image are computed once, and the flow warps the features.
    """

    def __init__(self, pair: PairTensors, terms: Sequence[Term]) -> None:
        self._pair = pair
        self._losses = [term.measure.loss for term in terms]
        self._shares = [term.weight for term in terms]
        self._fixed = [term.measure.describe(term.fixed) for term in terms]
        self._moving = [term.measure.describe(term.moving) for term in terms]
        self._labels = pair.shared_labels
        self._mask_weights = _mask_weights(pair)
        self._in_one_call = [
            _in_one_call(fixed, moving, term.measure)
            for fixed, moving, term in zip(
                self._fixed, self._moving, terms, strict=True
            )
        ]

    @cached_property
    def _joined(self) -> Float[Tensor, "1 n i j k"]:
        """The moving features of all terms, which are warped in one pass."""
        return torch.cat(self._moving, dim=1)

    @property
    def has_guidance(self) -> bool:
        """Whether there are structures or landmarks to compare."""
        return bool(self._labels) or self._pair.fixed.points is not None

    def similarity_loss(self, flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
        """Returns the weighted sum of the terms, averaged over the flows."""
        count = len(flow)
        moved = warp(_repeat(self._joined, count), flow).split(
            [features.shape[1] for features in self._moving], dim=1
        )
        voxel_weights = self._voxel_weights(flow.detach())
        losses = [
            share * loss(_repeat(fixed, count), channels, voxel_weights)
            for share, loss, fixed, channels in zip(
                self._shares, self._losses, self._fixed, moved, strict=True
            )
        ]
        return torch.stack(losses).sum()

    def add_similarity(
        self,
        affine: AffineNumbers,
        inner: Float[Tensor, "1 3 i j k"],
        *,
        scale: float,
        gradient: Float[Tensor, "1 3 i j k"],
    ) -> float:
        """Similarity loss of an affine part after a dense flow.

        Adds its gradient with respect to the dense flow, times `scale`.
        """
        one_call = [each for each in self._in_one_call if each is not None]
        if len(one_call) < len(self._in_one_call):
            return add_gradient(
                lambda leaf: self.similarity_loss(affine.after(leaf)),
                inner,
                scale=scale,
                gradient=gradient,
            )
        numbers = torch.cat([affine.matrix.flatten(1), affine.translation], dim=1)
        masks = self._mask_weights
        weights = None if masks is None else masks.at(numbers, inner)
        return sum(
            share
            * compared.add(
                numbers, inner, weights, scale=scale * share, gradient=gradient
            )
            for share, compared in zip(self._shares, one_call, strict=True)
        )

    def overlap_loss(
        self, flow: Float[Tensor, "1 3 i j k"], step: int
    ) -> Float[Tensor, ""]:
        """Returns 1 - Dice, averaged over up to 8 shared structures.

        Where there are more than 8, successive steps take them in turn.
        """
        fixed, moving = self._pair.fixed.labels, self._pair.moving.labels
        if fixed is None or moving is None or not self._labels:
            return flow.new_zeros(())
        first = step * _LABELS_PER_STEP
        numbers = [
            self._labels[(first + n) % len(self._labels)]
            for n in range(min(_LABELS_PER_STEP, len(self._labels)))
        ]
        chosen = torch.tensor(numbers, device=flow.device)[None, :, None, None, None]
        moved = warp((moving == chosen).to(flow.dtype), flow)
        return dice_loss((fixed == chosen).to(flow.dtype), moved)

    def landmark_loss(self, flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
        """Returns the mean distance between mapped and true landmarks, in voxels."""
        fixed, moving = self._pair.fixed.points, self._pair.moving.points
        if fixed is None or moving is None or fixed.shape[1] == 0:
            return flow.new_zeros(())
        count = len(flow)
        return landmark_distance(
            flow, fixed.expand(count, -1, -1), moving.expand(count, -1, -1)
        )

    @property
    def _has_masks(self) -> bool:
        return self._pair.fixed.mask is not None or self._pair.moving.mask is not None

    def _voxel_weights(
        self, flow: Float[Tensor, "b 3 i j k"]
    ) -> Float[Tensor, "b 1 i j k"] | None:
        """Returns 1 for voxels that both masks hold, else 0; None without masks.

        The caller detaches the flow: through a gradient of the weights, the flow could
        lower the loss by pushing differences out of the masks. Partly masked voxels get
        0, as they mix in intensities that the masks exclude.
        """
        if not self._has_masks:
            return None
        fixed, moving = self._pair.fixed.mask, self._pair.moving.mask
        shares = flow.new_ones(len(flow), 1, *flow.shape[2:])
        if fixed is not None:
            shares = shares * fixed
        if moving is not None:
            shares = shares.minimum(warp(_repeat(moving, len(flow)), flow))
        return (shares > LEAST_UNMASKED_SHARE).to(flow.dtype)


def _mask_weights(pair: PairTensors) -> MaskWeights | None:
    """The weights by the masks as one call; None without masks or compiled form."""
    fixed, moving = pair.fixed.mask, pair.moving.mask
    if (fixed is None and moving is None) or not runs_compiled(pair.fixed.image):
        return None
    return MaskWeights(fixed, moving, LEAST_UNMASKED_SHARE)


def _in_one_call(
    fixed: Float[Tensor, "1 n i j k"],
    moving: Float[Tensor, "1 n i j k"],
    measure: Measure,
) -> WarpedCorrelation | WarpedFeatures | None:
    """The measure with its gradient as one call; None where there is none."""
    if not runs_compiled(fixed):
        return None
    if measure.window is not None:
        return WarpedCorrelation(fixed, moving, measure.window)
    if measure.unit is not None:
        return WarpedFeatures(fixed, moving, measure.unit)
    return None


def _repeat(
    tensor: Float[Tensor, "1 c i j k"], count: int
) -> Float[Tensor, "b c i j k"]:
    return tensor if count == 1 else tensor.expand(count, -1, -1, -1, -1).contiguous()

"""How far a pair still differs under a flow: images, structures, landmarks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import Measure, dice_loss, landmark_distance
from voltween.ops import warp
from voltween.refinement.evidence import Evidence

WHOLE = 0.99
"""Share of a voxel that has to be unmasked for it to count."""
_LABELS_AT_ONCE = 8  # of many: the others have their turn in other steps


class Matching:
    """The differences of a pair, with all prepared that does not depend on the flow.

    What describes the moving image is computed once and carried by the flow.
    """

    def __init__(
        self, evidence: Evidence, measure: Measure, channel_weights: Sequence[float]
    ) -> None:
        self._evidence = evidence
        self._loss = measure.loss
        total = sum(channel_weights)
        self._shares = [weight / total for weight in channel_weights]
        self._fixed = [measure.describe(c) for c in evidence.fixed.split(1, dim=1)]
        moving = [measure.describe(c) for c in evidence.moving.split(1, dim=1)]
        self._sizes = [features.shape[1] for features in moving]
        self._moving = torch.cat(moving, dim=1)
        self._labels = evidence.labels

    def similarity_loss(self, flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
        """Of the images, mean over the flows: weighted mean over the channels."""
        count = len(flow)
        moved = warp(_repeated(self._moving, count), flow).split(self._sizes, dim=1)
        voxel_weights = self._voxel_weights(flow.detach())
        losses = [
            share * self._loss(_repeated(fixed, count), channel, voxel_weights)
            for share, fixed, channel in zip(
                self._shares, self._fixed, moved, strict=True
            )
        ]
        return torch.stack(losses).sum()

    def overlap_loss(
        self, flow: Float[Tensor, "1 3 i j k"], step: int
    ) -> Float[Tensor, ""]:
        """1 - Dice, mean over some of the shared structures: in every step others."""
        fixed, moving = self._evidence.fixed_labels, self._evidence.moving_labels
        if fixed is None or moving is None or not self._labels:
            return flow.new_zeros(())
        first = step * _LABELS_AT_ONCE
        numbers = [
            self._labels[(first + n) % len(self._labels)]
            for n in range(min(_LABELS_AT_ONCE, len(self._labels)))
        ]
        chosen = torch.tensor(numbers, device=flow.device)[None, :, None, None, None]
        moved = warp((moving == chosen).to(flow.dtype), flow)
        return dice_loss((fixed == chosen).to(flow.dtype), moved)

    def landmark_loss(self, flow: Float[Tensor, "b 3 i j k"]) -> Float[Tensor, ""]:
        """Mean distance, in voxels, to where the landmarks are known to go."""
        fixed, moving = self._evidence.fixed_points, self._evidence.moving_points
        if fixed is None or moving is None or fixed.shape[1] == 0:
            return flow.new_zeros(())
        count = len(flow)
        return landmark_distance(
            flow, fixed.expand(count, -1, -1), moving.expand(count, -1, -1)
        )

    def _voxel_weights(
        self, flow: Float[Tensor, "b 3 i j k"]
    ) -> Float[Tensor, "b 1 i j k"] | None:
        """1 where a voxel counts, seen from both images, else 0.

        No gradient goes through it, for the flow could gain by pushing what differs
        out of sight. A voxel that is masked in part shows some of what is masked.
        """
        fixed, moving = self._evidence.fixed_mask, self._evidence.moving_mask
        if fixed is None and moving is None:
            return None
        shares = flow.new_ones(len(flow), 1, *flow.shape[2:])
        if fixed is not None:
            shares = shares * fixed
        if moving is not None:
            shares = shares.minimum(warp(_repeated(moving, len(flow)), flow))
        return (shares > WHOLE).to(flow.dtype)


def _repeated(
    tensor: Float[Tensor, "1 c i j k"], count: int
) -> Float[Tensor, "b c i j k"]:
    return tensor if count == 1 else tensor.expand(count, -1, -1, -1, -1).contiguous()

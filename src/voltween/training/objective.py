"""The objective of a training: losses of all stages, weighted as in Table I."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from voltween.errors import check_range
from voltween.losses import (
    Similarity,
    check_window,
    correlation_loss,
    determinant_loss,
    dice_loss,
    end_point_error,
    invertibility_loss,
    orthogonality_loss,
    similarity_loss,
    total_variation_loss,
)
from voltween.networks import Stage, Tweening, without_autocast
from voltween.ops import warp

_BLUR_VOXELS = 8


_LARGEST_WEIGHT = 1e9  # far above every weight of use


@dataclass(frozen=True)
class Objective:
    """Weights of the losses of every stage.

    Tuples start at the last stage and go backwards; stages beyond their end have weight
    0. One objective therefore serves cascades of every length.

    Raises:
        InputError: If `window_voxels` is not odd, or a weight is negative or huge.
    """

    affine_similarity: float = 1.0
    """Weight of the similarity of the image moved by the affine stage."""
    orthogonality: float = 0.1
    """Weight of the orthogonality loss of the affine matrix."""
    determinant: float = 0.1
    """Weight of the determinant loss of the affine matrix."""
    dense_similarity: tuple[float, ...] = (1.0, 0.05)
    """Weights of the similarity after the last dense stage, the one before it, ..."""
    total_variation: float = 1.0
    """Weight of the total variation of the flow of every dense subnetwork."""
    last_similarity: Similarity = "correlation"
    """Similarity after the last dense stage; the other stages use the correlation."""
    window_voxels: int = 5
    """Side of the cubes of the local correlation: an odd number."""
    overlap: tuple[float, ...] = ()
    """Weights of 1 - Dice of labels after the last stage, the one before it, ..., the
    affine stage included: weak supervision. Every training case needs labels; the
    network itself never sees them."""
    invertibility: float = 0.0
    """Weight of the invertibility loss (eq. 12; the paper: 1e-3 of a sum over voxels).
    If not 0, every step predicts both directions, which takes twice the time."""
    end_point_error: float = 0.0
    """Weight of the distance between the final flow and the flow of a teacher, such as
    ANTs. By itself this is the paper's supervised variant; it can be combined with all
    other terms."""

    def __post_init__(self) -> None:
        check_window(self.window_voxels, "window_voxels")
        for field in fields(self):
            value = getattr(self, field.name)
            for weight in value if isinstance(value, tuple) else (value,):
                if isinstance(weight, int | float):
                    check_range(field.name, weight, 0, _LARGEST_WEIGHT)

    @property
    def has_overlap(self) -> bool:
        """Whether labels are part of the objective."""
        return any(weight > 0 for weight in self.overlap)

    def similarity_weight(self, from_last: int) -> float:
        """Weight of the similarity, so many stages before the last dense one."""
        is_given = from_last < len(self.dense_similarity)
        return self.dense_similarity[from_last] if is_given else 0.0


# The published weights (Table I), for cascades of every length:
#
#   stage                 similarity   orthogonality   determinant   total variation
#   affine                1            0.1             0.1           -
#   earlier dense stages  0            -               -             1
#   last dense but one    0.05         -               -             1
#   last dense            1            -               -             1
#
# The affine similarity is not in the table; the text of the paper mentions it.

VTN_LIVER = Objective()
"""Table I of the paper, for its liver and its brain networks: section V-B has no other
ratios."""

RCN = Objective(
    affine_similarity=0.0,
    determinant=0.05,
    dense_similarity=(1.0,),
    total_variation=0.5,
)
"""The authors' later code (Recursive Cascaded Networks): two weights are halved, and
the similarity is that of the last dense subnetwork only. If that is repeated, its
passes share one weight in that code, so that `dense_similarity` has one 1 per pass."""

SUPERVISED = Objective(affine_similarity=0.0, dense_similarity=(), end_point_error=1.0)
"""The paper's supervised variant: end-point error plus regularization (V-A3)."""


# The loss in VoxelMorph's code is -mean(cc^2) + 1.0 * gradient, with
#
#   gradient = (X + Y + Z) / 3, X = mean over components and voxels of (du / dx)^2, ...
#            = sum over directions, components, voxels of (du / d.)^2 / (3 * 3 * voxels)
#
# Our total variation is summed over components, the same sum / (3 * voxels), so that
# their gradient is a third of it. (Their mean has n - 1 differences along an axis of n
# voxels and is larger by n / (n - 1).) Our local correlation is 1 - mean(cc^2). It
# differs in cubes over the border, where theirs sees zeros, and in cubes with almost no
# contrast, which count as 1 here and as 0 there; neither has a gradient in them.

VOXELMORPH = Objective(
    dense_similarity=(1.0,),
    total_variation=1 / 3,
    last_similarity="local correlation",
    window_voxels=9,
)
"""VoxelMorph's objective: local correlation and smoothness, with the weights that its
code recommends."""


class PairBatch(NamedTuple):
    """Pairs of images to register, stacked, with label maps and target flows if any."""

    fixed: Float[Tensor, "b 1 i j k"]
    moving: Float[Tensor, "b 1 i j k"]
    fixed_labels: Float[Tensor, "b labels i j k"] | None = None
    """One channel per label: 1 inside, 0 outside, soft at the border."""
    moving_labels: Float[Tensor, "b labels i j k"] | None = None
    target: Float[Tensor, "b 3 i j k"] | None = None
    """Flow to learn, in voxels, from fixed to moving; NaN where none is known."""
    seeds: tuple[int, ...] | None = None
    """One seed per pair, for the voxels that mutual information samples; if not given,
    all pairs have the same sample."""

    @property
    def swapped(self) -> "PairBatch":
        """The pairs with fixed and moving exchanged, without a target flow."""
        swapped = self._replace(fixed=self.moving, moving=self.fixed, target=None)
        return swapped._replace(
            fixed_labels=self.moving_labels, moving_labels=self.fixed_labels
        )

    def to(self, device: torch.device) -> "PairBatch":
        """The pairs on another device."""
        parts = [p.to(device) if isinstance(p, Tensor) else p for p in self]
        return PairBatch(*parts)  # type: ignore[arg-type]  # types stay as they are


def pair_losses(
    network: Callable[[Tensor, Tensor], Tweening],
    pairs: PairBatch,
    objective: Objective,
) -> dict[str, Float[Tensor, ""]]:
    """Registers the pairs and returns the weighted loss terms by name.

    With an invertibility term the network registers both directions, and every other
    term is the mean of the two.
    """
    terms, flow = _losses_and_flow(network, pairs, objective)
    if objective.invertibility == 0:
        return terms
    back_terms, back_flow = _losses_and_flow(network, pairs.swapped, objective)
    terms = {name: (term + back_terms[name]) / 2 for name, term in terms.items()}
    with without_autocast(flow):
        round_trip = invertibility_loss(flow, back_flow)
    return terms | {"invertibility": objective.invertibility * round_trip}


def _losses_and_flow(
    network: Callable[[Tensor, Tensor], Tweening],
    pairs: PairBatch,
    objective: Objective,
) -> tuple[dict[str, Tensor], Float[Tensor, "b 3 i j k"]]:
    """Loss terms and the flow from fixed to moving; losses are in single precision."""
    tweening = network(pairs.fixed, pairs.moving)
    with without_autocast(pairs.fixed):
        terms = stage_losses(tweening, pairs.fixed, objective, seed=pairs.seeds or 0)
        if objective.has_overlap:
            terms |= _overlap_losses(tweening, pairs, objective)
        if objective.end_point_error > 0:
            if pairs.target is None:
                raise ValueError("an end-point error needs target flows, got none")
            error = end_point_error(tweening.flow, pairs.target)
            terms["end-point error"] = objective.end_point_error * error
    return terms, tweening.flow


def stage_losses(
    tweening: Tweening,
    fixed: Float[Tensor, "b 1 i j k"],
    objective: Objective,
    *,
    seed: int | Sequence[int] = 0,
) -> dict[str, Float[Tensor, ""]]:
    """Weighted loss terms by name, such as "dense 2 total variation", to be summed.

    `seed`, one for all pairs or one per pair, chooses the voxels that mutual
    information samples.
    """
    affine = [stage for stage in tweening.stages if stage.is_affine]
    dense = [stage for stage in tweening.stages if not stage.is_affine]
    terms: dict[str, Tensor] = {}
    for stage in affine:
        terms |= _affine_losses(stage, fixed, objective)
    last = similarity_loss(
        objective.last_similarity, window_voxels=objective.window_voxels, seed=seed
    )
    for number, stage in enumerate(dense, 1):
        similarity = last if number == len(dense) else correlation_loss
        weight = objective.similarity_weight(len(dense) - number)
        smoothness = objective.total_variation * total_variation_loss(stage.own_flow)
        terms[f"{stage.name} total variation"] = smoothness
        if weight > 0:
            loss = similarity(fixed, stage.moved)
            terms[f"{stage.name} similarity"] = weight * loss
    return terms


def total_loss(terms: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Sum of all loss terms."""
    return torch.stack(list(terms.values())).sum()


def _affine_losses(
    stage: Stage, fixed: Tensor, objective: Objective
) -> dict[str, Tensor]:
    similarity = correlation_loss(fixed, stage.moved)
    return {
        "affine similarity": objective.affine_similarity * similarity,
        "affine orthogonality": objective.orthogonality
        * orthogonality_loss(stage.parts.matrix),
        "affine determinant": objective.determinant
        * determinant_loss(stage.parts.matrix),
    }


def _overlap_losses(
    tweening: Tweening, pairs: PairBatch, objective: Objective
) -> dict[str, Tensor]:
    if pairs.fixed_labels is None or pairs.moving_labels is None:
        raise ValueError("an overlap term needs label maps of both images, got none")
    terms = {}
    stages = reversed(tweening.stages)
    for stage, weight in zip(stages, objective.overlap, strict=False):
        if weight == 0:
            continue
        fixed, moving = pairs.fixed_labels, pairs.moving_labels
        if stage.is_affine:  # so that structures attract each other before they touch
            fixed, moving = _blur(fixed), _blur(moving)
        overlap = dice_loss(fixed, warp(moving, stage.flow))
        terms[f"{stage.name} overlap"] = weight * overlap
    return terms


def _blur(
    maps: Float[Tensor, "b labels i j k"],
) -> Float[Tensor, "b labels i j k"]:
    """The maps averaged over cubes of 8 voxels and interpolated in between."""
    coarse = functional.avg_pool3d(maps, _BLUR_VOXELS)
    # Three matrix products take a tenth of the time of a trilinear `interpolate`.
    in_i, in_j, in_k = (
        _interpolation(*sides).to(coarse)
        for sides in zip(coarse.shape[2:], maps.shape[2:], strict=True)
    )
    planes = in_j @ (coarse @ in_k.T)
    return (in_i @ planes.flatten(3)).unflatten(3, planes.shape[3:])


def _interpolation(coarse: int, fine: int) -> Float[Tensor, "fine coarse"]:
    """The matrix that interpolates linearly along one axis, as `interpolate` does."""
    unit = torch.eye(coarse)[None]
    return functional.interpolate(unit, size=fine, mode="linear")[0].T

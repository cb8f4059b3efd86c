"""Validation of a network during training, stage by stage."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from voltween.losses import correlation
from voltween.metrics import dice_per_label
from voltween.networks import Network, Tweening
from voltween.ops import folding_fraction
from voltween.training.label_warping import warp_labels
from voltween.training.samples import Sample

Pairs = Sequence[tuple[int, int]]
"""Indices of samples, fixed and moving."""

INVERTED = " (inverted)"
"""After the name of a stage: the moving scans have the opposite contrast."""

_DARK = 0.05  # intensity below which voxels are background, which stays dark


@dataclass(frozen=True)
class StageValidation:
    """Means over the validation pairs after one stage, on the network's grid."""

    stage: str
    dice: float | None
    """Mean over the labels of each pair; None if no scan has labels."""
    correlation: float
    folding_percent: float


def validation_pairs(
    samples: Sequence[Sample], most: int, *, within_cohorts: bool = False
) -> Pairs:
    """Indices (fixed, moving) of up to `most` pairs, of labeled samples if possible.

    Every call with the same samples returns the same pairs.

    Args:
        samples: The samples.
        most: Largest number of pairs.
        within_cohorts: Whether both samples must be of one cohort, because another one
            numbers its labels differently.
    """
    labeled = [n for n in range(len(samples)) if samples[n].labels is not None]
    usable = labeled if len(labeled) > 1 else range(len(samples))
    cohorts = {n: samples[n].cohort if within_cohorts else "" for n in usable}
    ordered = [
        (f, m) for f in usable for m in usable if f != m and cohorts[f] == cohorts[m]
    ]
    return [
        ordered[n] for n in np.random.default_rng(0).permutation(len(ordered))[:most]
    ]


def measure_stages(
    network: Network,
    samples: Sequence[Sample],
    pairs: Pairs,
    *,
    is_inverted: bool = False,
) -> Float[np.ndarray, "pairs stages 3"]:
    """Measures Dice, correlation and folding (%) of pairs, before and after each stage.

    Dice is NaN if one of the scans has no labels, or they have none in common. With
    `is_inverted`, the moving scans have the opposite contrast.
    """
    rows = []
    for f, m in pairs:
        moving = inverted(samples[m]) if is_inverted else samples[m]
        rows.append(list(_measure_pair(network, samples[f], moving)))
    return np.array(rows).reshape(-1, len(network.config.stage_names) + 1, 3)


def stage_means(
    figures: Float[np.ndarray, "pairs stages 3"], stage_names: Sequence[str]
) -> list[StageValidation]:
    """Means over pairs of the figures of `measure_stages`; the first is "before"."""
    rows = []
    for number, name in enumerate(("before", *stage_names)):
        dice, correlations, folding = figures[:, number].T
        finite = dice[~np.isnan(dice)]
        rows.append(
            StageValidation(
                stage=name,
                dice=float(finite.mean()) if finite.size else None,
                correlation=float(correlations.mean()),
                folding_percent=float(folding.mean()),
            )
        )
    return rows


def merit(stages: Sequence[StageValidation]) -> float:
    """The figure that is highest for the best model: the last Dice, or correlation.

    With inverted scans among the pairs, the mean of both.
    """
    last = [stages[-1]]
    plain = stages[-1].stage.removesuffix(INVERTED)
    last += [stage for stage in stages[:-1] if stage.stage == plain]
    reached = [
        stage.correlation if stage.dice is None else stage.dice for stage in last
    ]
    return float(np.mean(reached))


def inverted(sample: Sample) -> Sample:
    """The sample in the opposite contrast, with its background as dark as it is."""
    image = torch.where(sample.image > _DARK, 1 - sample.image, sample.image)
    return replace(sample, image=image)


def tween(network: Network, fixed: Sample, moving: Sample) -> tuple[Tensor, Tweening]:
    """Registers two samples without gradients; returns the moving image and the result.

    Both are on the device of the network.
    """
    device = next(network.parameters()).device
    images = fixed.image[None].to(device), moving.image[None].to(device)
    with torch.inference_mode():
        return images[1], network(*images)


def _measure_pair(
    network: Network, fixed: Sample, moving: Sample
) -> Iterator[tuple[float, float, float]]:
    image, tweening = tween(network, fixed, moving)
    fixed_image = fixed.image[None].to(image.device)
    rest = torch.zeros_like(tweening.flow)
    before = rest, image
    frames = [before, *((stage.flow, stage.moved) for stage in tweening.stages)]
    for flow, moved in frames:
        yield (
            _dice(fixed, moving, flow.cpu()),
            float(correlation(fixed_image, moved)),
            100 * float(folding_fraction(flow)),
        )


def _dice(fixed: Sample, moving: Sample, flow: Float[Tensor, "1 3 i j k"]) -> float:
    if fixed.labels is None or moving.labels is None:
        return float("nan")
    moved = warp_labels(moving.labels, flow)[0]
    dice = dice_per_label(fixed.labels[0].numpy(), moved.numpy())
    shared = np.intersect1d(fixed.labels.unique(), moving.labels.unique())
    values = [dice[label] for label in shared.tolist() if label != 0]
    return float(np.mean(values)) if values else float("nan")

"""The verdict on a registration, from what can be measured without labels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from voltween.registration.judge import Judge
from voltween.spatial import Transform

Grade = Literal["good", "doubtful", "failed"]


@dataclass(frozen=True)
class Evidence:
    """What was measured of a registration, over the foreground of the fixed scan."""

    similarity_before: float
    """Mean squared local correlation as the scans came in: 0 to 1, by chance 0.15."""
    similarity: float
    """The same under the transform found."""
    sign: float
    """Share of that correlation which is positive, -1 (inverted contrast) to 1."""
    seen_percent: float
    """Percentage of the foreground that the moving scan shows."""
    overlap: float
    """Dice of the two foregrounds."""
    sd_log_jacobian: float
    """Standard deviation of the logarithm of the volume change: roughness."""
    folding_percent: float
    """Percentage of the foreground that folds."""
    scale: float
    """Ratio of lengths in moving to fixed space, of the nearest affine map."""
    stretch: float
    """Largest ratio of the scales of that map along two directions; at least 1."""


@dataclass(frozen=True)
class Verdict:
    """Whether a registration can be trusted, with the reasons in words."""

    grade: Grade
    reasons: tuple[str, ...]
    evidence: Evidence


def gather_evidence(judge: Judge, before: Transform, found: Transform) -> Evidence:
    """Measures a registration, given the transforms before and after it."""
    came_in, agreement = judge.agreement(before), judge.agreement(found)
    growth = found.to_field(judge.fixed.grid).jacobian_determinant()
    inside = growth[judge.fixed.foreground[0, 0].numpy() > 0]
    scales = _scales(judge.foreground_mm, found)
    positive = inside[inside > 0]
    return Evidence(
        similarity_before=came_in.similarity,
        similarity=agreement.similarity,
        sign=agreement.sign,
        seen_percent=agreement.seen_percent,
        overlap=agreement.overlap,
        sd_log_jacobian=float(np.log(positive).std()) if positive.size else 0.0,
        folding_percent=100 * float((inside <= 0).mean()) if inside.size else 0.0,
        scale=float(np.exp(np.log(scales).mean())),
        stretch=float(scales.max() / scales.min()),
    )


def _scales(
    positions_mm: Float[np.ndarray, "n 3"], transform: Transform
) -> Float[np.ndarray, " 3"]:
    """Singular values of the affine map nearest to the transform at the positions."""
    few = positions_mm[:: max(1, len(positions_mm) // 2000)]
    mapped = transform.map_positions(few)
    centered = few - few.mean(axis=0)
    linear, *_ = np.linalg.lstsq(centered, mapped - mapped.mean(axis=0), rcond=None)
    return np.linalg.svd(linear, compute_uv=False).clip(1e-6)


def pass_verdict(evidence: Evidence) -> Verdict:
    """Grades a registration by its evidence."""
    return Verdict("good", (), evidence)

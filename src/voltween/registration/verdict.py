"""The verdict on a registration, from what can be measured without labels.

`runs/verdict.py` measures how many failures it catches; docs/verdict.md has the tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from voltween.refinement import ACCURATE_ALONE, WITHOUT_MODEL, Refinement
from voltween.registration.judge import CHANCE, Judge
from voltween.registration.usual import Usual, usual_of
from voltween.spatial import Affine, Image, Transform

Grade = Literal["good", "doubtful", "failed"]

FEW_SEEN, _HARDLY_SEEN = 80.0, 30.0  # percent of the foreground
SMALL_OVERLAP, _HARDLY_OVERLAP = 0.4, 0.05  # Dice of the foregrounds
SOME_FOLDS, _MANY_FOLDS = 0.5, 3.0  # percent of the foreground
ODD_SCALE, _WILD_SCALE = 1.35, 2.0
ODD_STRETCH, _WILD_STRETCH = 1.6, 2.5
_POSITIVE = 0.0  # sign of the correlation; less is an inverted contrast


@dataclass(frozen=True)
class Evidence:
    """Measurements of a registration, over the foreground of the fixed scan."""

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

    @property
    def similarity_seen(self) -> float:
        """The similarity where the moving scan shows something."""
        seen = max(self.seen_percent / 100, 0.01)
        return (self.similarity - CHANCE * (1 - seen)) / seen


@dataclass(frozen=True)
class Verdict:
    """Whether a registration can be trusted, with the reasons in words."""

    grade: Grade
    reasons: tuple[str, ...]
    evidence: Evidence


class Criterion(NamedTuple):
    """The answers with which an answer is compared."""

    model_name: str = WITHOUT_MODEL
    """The model that found them, or `none`."""
    refinement: Refinement | None = ACCURATE_ALONE
    """By which they were found, or were meant to be: see `pass_verdict`."""

    @property
    def facts(self) -> dict[str, str]:
        """What verdicts depend on beside the model, where it is out of the ordinary."""
        refinement = self.refinement
        is_unbent = refinement is not None and refinement.transform != "deformable"
        is_across = usual_of(self.model_name).is_across_contrasts(refinement)
        return {
            **({"answer": "unbent"} if is_unbent else {}),
            **({"contrasts": "any"} if is_across else {}),
        }


def gather_evidence(judge: Judge, before: Transform, found: Transform) -> Evidence:
    """Measures a registration, given the transforms before and after it."""
    came_in, agreement = judge.agreement(before), judge.agreement(found)
    growth = found.to_field(judge.fixed.grid).jacobian_determinant()
    inside = growth[judge.fixed.foreground[0, 0].numpy() > 0]
    scales = _scales(judge.some_foreground_mm, found)
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


def judge_transform(
    fixed: Image, moving: Image, fixed_to_moving: Transform, criterion: Criterion
) -> Verdict:
    """Grades a transform from fixed to moving mm, whatever found it."""
    judge = Judge.of(fixed, moving)
    evidence = gather_evidence(judge, Affine.identity(), fixed_to_moving)
    usual = usual_of(criterion.model_name)
    return pass_verdict(evidence, usual, criterion.refinement)


def pass_verdict(
    evidence: Evidence, usual: Usual, refinement: Refinement | None
) -> Verdict:
    """Grades a registration by its evidence and by what is usual of its model.

    `refinement` is the one that was wanted: an answer that it could not improve is
    measured against those that it could, a transform that may not bend against others
    that may not, and scans of any two contrasts against such scans.
    """
    failures = tuple(_failures(evidence, usual, refinement))
    if failures:
        return Verdict("failed", failures, evidence)
    doubts = tuple(_doubts(evidence, usual, refinement))
    return Verdict("doubtful" if doubts else "good", doubts, evidence)


def _failures(
    evidence: Evidence, usual: Usual, refinement: Refinement | None
) -> Iterator[str]:
    """Reasons for which a registration cannot be right."""
    lost = usual.similarities(refinement).lost
    if evidence.similarity_seen < lost:
        yield (
            f"the scans are no more alike than lost ones are (similarity "
            f"{evidence.similarity_seen:.2f}, below {lost})"
        )
    if evidence.similarity < evidence.similarity_before - 1e-3:
        yield (
            f"the scans are less alike than before ({evidence.similarity:.2f} after "
            f"{evidence.similarity_before:.2f})"
        )
    if evidence.seen_percent < _HARDLY_SEEN:
        yield _seen(evidence)
    if evidence.overlap < _HARDLY_OVERLAP:
        yield _overlap(evidence)
    if evidence.folding_percent > _MANY_FOLDS:
        yield _folds(evidence)
    if _ratio(evidence.scale) > _WILD_SCALE or evidence.stretch > _WILD_STRETCH:
        yield _shape(evidence)


def _doubts(
    evidence: Evidence, usual: Usual, refinement: Refinement | None
) -> Iterator[str]:
    """Reasons to look at a registration before it is used."""
    is_across = usual.is_across_contrasts(refinement)
    least = usual.similarities(refinement).least
    if evidence.similarity_seen < least:
        yield (
            f"the scans are less alike than right answers usually leave them "
            f"(similarity {evidence.similarity_seen:.2f}, usually above {least})"
            + (", as scans of two contrasts often are" if is_across else "")
        )
    if evidence.sign < _POSITIVE and not is_across:
        yield "bright and dark are exchanged: are the scans of one modality?"
    if evidence.seen_percent < FEW_SEEN:
        yield _seen(evidence)
    if evidence.overlap < SMALL_OVERLAP:
        yield _overlap(evidence)
    if evidence.folding_percent > SOME_FOLDS:
        yield _folds(evidence)
    if evidence.sd_log_jacobian > usual.roughness:
        yield (
            f"the deformation is rough (SD of the log Jacobian "
            f"{evidence.sd_log_jacobian:.2f}, usually below {usual.roughness})"
        )
    if _ratio(evidence.scale) > ODD_SCALE or evidence.stretch > ODD_STRETCH:
        yield _shape(evidence)


def _seen(evidence: Evidence) -> str:
    seen = evidence.seen_percent
    return f"the moving scan shows only {seen:.0f} % of the fixed scan's foreground"


def _overlap(evidence: Evidence) -> str:
    return f"the foregrounds hardly lie on one another (Dice {evidence.overlap:.2f})"


def _folds(evidence: Evidence) -> str:
    return f"{evidence.folding_percent:.2g} % of the foreground folds"


def _shape(evidence: Evidence) -> str:
    return (
        f"the scans differ in scale by a factor of {evidence.scale:.2f}, and by up to "
        f"{evidence.stretch:.2f} between directions"
    )


def _ratio(scale: float) -> float:
    return max(scale, 1 / scale)


def _scales(
    positions_mm: Float[np.ndarray, "n 3"], transform: Transform
) -> Float[np.ndarray, " 3"]:
    """Singular values of the affine map nearest to the transform at the positions."""
    mapped = transform.map_positions(positions_mm)
    centered = positions_mm - positions_mm.mean(axis=0)
    linear, *_ = np.linalg.lstsq(centered, mapped - mapped.mean(axis=0), rcond=None)
    return np.linalg.svd(linear, compute_uv=False).clip(1e-6)

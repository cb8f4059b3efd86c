"""The figures of a registration with what is normal for them, as the verdict has it."""

from collections.abc import Iterator

from voltween.registration.result import Registration
from voltween.registration.usual import usual_of
from voltween.registration.verdict import (
    FEW_SEEN,
    ODD_SCALE,
    ODD_STRETCH,
    SMALL_OVERLAP,
    SOME_FOLDS,
)
from voltween.reports import Figure


def normal_figures(
    registration: Registration, round_trip_mm: float | None
) -> list[Figure]:
    """Returns the figures of a registration in the words of its report.

    `round_trip_mm` is the 95th percentile of the error of the inverse, if it is wanted.
    """
    figures = [*_agreement(registration), *_shape(registration)]
    if round_trip_mm is not None:
        limit_mm = registration.acceptable_round_trip_mm
        figures.append(
            Figure(
                "error of the inverse, 95th percentile",
                f"{round_trip_mm:.3g} mm",
                f"at most {limit_mm:.3g} mm, half of the smallest voxel side",
                round_trip_mm <= limit_mm,
            )
        )
    return figures


def _agreement(registration: Registration) -> Iterator[Figure]:
    evidence, correlation = registration.verdict.evidence, registration.correlation
    usual = usual_of(registration.model_name)
    least = usual.similarities(registration.refinement).least
    yield Figure(
        "local similarity",
        f"{evidence.similarity_before:.2f} before, {evidence.similarity:.2f} after "
        f"({evidence.similarity_seen:.2f} where the moving scan shows something)",
        f"above {least} after; unrelated scans have 0.15",
        evidence.similarity_seen >= least
        and evidence.similarity >= evidence.similarity_before - 1e-3,
    )
    yield Figure(
        "correlation with the fixed scan",
        f"{correlation['before']:.3f} before, {correlation['after']:.3f} after",
        "more after than before, for scans of one modality",
        correlation["after"] >= correlation["before"] - 1e-3,
    )
    yield Figure(
        "contrast",
        f"{evidence.sign:.2f}",
        "above 0 in one contrast; below, bright and dark are exchanged",
        evidence.sign >= 0 or usual.is_across_contrasts(registration.refinement),
    )
    yield Figure(
        "foreground that the moving scan shows",
        f"{evidence.seen_percent:.0f} %",
        f"at least {FEW_SEEN:.0f} %",
        evidence.seen_percent >= FEW_SEEN,
    )
    yield Figure(
        "overlap of the foregrounds (Dice)",
        f"{evidence.overlap:.2f}",
        f"at least {SMALL_OVERLAP}",
        evidence.overlap >= SMALL_OVERLAP,
    )


def _shape(registration: Registration) -> Iterator[Figure]:
    evidence = registration.verdict.evidence
    roughness = usual_of(registration.model_name).roughness
    yield Figure(
        "roughness (SD of the log Jacobian)",
        f"{evidence.sd_log_jacobian:.2f}",
        f"at most {roughness}",
        evidence.sd_log_jacobian <= roughness,
    )
    yield Figure(
        "folding",
        f"{evidence.folding_percent:.2g} % of the foreground, "
        f"{registration.folding_percent:.2g} % of the fixed scan",
        f"at most {SOME_FOLDS} % of the foreground",
        evidence.folding_percent <= SOME_FOLDS,
    )
    yield Figure(
        "scale of the moving scan",
        f"{evidence.scale:.2f} times, {evidence.stretch:.2f} between directions",
        f"{1 / ODD_SCALE:.2f} to {ODD_SCALE}, at most {ODD_STRETCH}",
        max(evidence.scale, 1 / evidence.scale) <= ODD_SCALE
        and evidence.stretch <= ODD_STRETCH,
    )

"""Two registered scans: transforms between their worlds, images, quality figures."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from voltween.errors import FoldingWarning, InverseWarning
from voltween.figures import Shown, show_pair
from voltween.metrics import dice_per_label, warn_if_nothing_overlaps
from voltween.refinement import Refinement
from voltween.registration.image_correlation import correlation_of
from voltween.registration.judge import Judge
from voltween.registration.round_trip import RoundTrip, measure_round_trip
from voltween.registration.timing import Seconds, timing
from voltween.registration.usual import usual_of
from voltween.registration.verdict import Verdict, gather_evidence, pass_verdict
from voltween.spatial import (
    Affine,
    DisplacementField,
    Image,
    LabelMap,
    Transform,
    check_labels_on_scan,
    jacobian_determinant,
    labels_in_common,
    remove_folds,
)

_ACCEPTABLE_ROUND_TRIP_VOXELS = 0.5

SideName = Literal["fixed", "moving"]
AFFINE, REFINED = "affine", "refined"
"""Names of the stages that are not a network's."""


@dataclass(frozen=True)
class TweeningStage:
    """The registration as it stood after one stage of the cascade."""

    name: str
    fixed_to_moving: Transform
    moving_to_fixed: Transform | None = None
    """The inverse, where it came with the transform, as that of a velocity field."""


@dataclass(frozen=True)
class Registration:
    """Two registered scans; all transforms are between the scans' own worlds (mm).

    Images, fields and inverses are computed when they are first read, and kept.
    """

    fixed: Image
    moving: Image
    model_name: str
    before: Transform
    """Initial alignment, fixed to moving: of the scans' centers and axes."""
    stages: tuple[TweeningStage, ...]
    seconds: Mapping[str, Seconds]
    """Time that each part of the registration took, by its name."""
    refinement: Refinement | None = None
    """Settings by which the last stage was optimized on the pair, if it was."""
    features_name: str | None = None
    """Name of the learned features that the refinement compared, if it did."""
    model_reason: str = ""
    """Why this model was taken."""
    cut: SideName | None = None
    """The scan that was cut like the other, which came cut out, to be compared."""
    prepared_judge: Judge | None = None
    """The pair prepared for the comparison of transforms, if it is at hand."""

    @cached_property
    def judge(self) -> Judge:
        """The pair prepared for the comparison of transforms."""
        return self.prepared_judge or Judge.of(self.fixed, self.moving)

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the registration can be trusted, with reasons and evidence."""
        evidence = gather_evidence(self.judge, Affine.identity(), self.fixed_to_moving)
        usual = usual_of(self.model_name)
        return pass_verdict(evidence, usual, self.refinement)

    @property
    def fixed_to_moving(self) -> Transform:
        """Maps points from fixed to moving mm; moves images onto the fixed grid."""
        return self.stages[-1].fixed_to_moving

    @cached_property
    def moving_to_fixed(self) -> Transform:
        """The inverse: maps points from moving to fixed mm.

        An `InverseWarning` says where points return from elsewhere if this is so by
        more than half of the smallest voxel side in more than 5 % of the foreground.
        Folds that are smaller, or lie outside, do not matter to what is carried along.
        """
        if self._round_trip.worst_mm is not None:
            warnings.warn(
                _describe_round_trip(self._round_trip, self.acceptable_round_trip_mm),
                InverseWarning,
                stacklevel=2,
            )
        return self._inverse

    @property
    def acceptable_round_trip_mm(self) -> float:
        """The 95th percentile of the error of the inverse that needs no warning."""
        return _ACCEPTABLE_ROUND_TRIP_VOXELS * float(self.fixed.grid.spacing_mm.min())

    @property
    def round_trip_error_mm(self) -> dict[str, float]:
        """The error |x - moving_to_fixed(fixed_to_moving(x))| of the inverse, in mm.

        Its median, 95th percentile and largest value over all voxels of the fixed
        image's foreground.
        """
        return self._round_trip.error_mm

    @cached_property
    def _round_trip(self) -> RoundTrip:
        return measure_round_trip(
            self.fixed,
            self.fixed_to_moving,
            self._inverse,
            limit_mm=self.acceptable_round_trip_mm,
        )

    @cached_property
    def _inverse(self) -> Transform:
        # Its error is measured on the fixed image, with warnings.
        inverse = self.stages[-1].moving_to_fixed
        if inverse is None:
            inverse = self.fixed_to_moving.unchecked_inverse()
        return inverse

    @cached_property
    def moved(self) -> Image:
        """The moving image on the fixed image's own grid."""
        return self.fixed_to_moving.resample(self.moving, onto=self.fixed.grid)

    @property
    def field(self) -> DisplacementField:
        """`fixed_to_moving` as displacements at the fixed image's voxels.

        It is not kept: of a large scan it would fill the memory.
        """
        return self.fixed_to_moving.to_field(self.fixed.grid)

    @cached_property
    def folding_percent(self) -> float:
        """Percentage of the fixed image's voxels at which the transform folds."""
        return 100 * float((self.jacobian.data <= 0).mean())

    @cached_property
    def jacobian(self) -> Image:
        """Local volume in moving space over that in fixed space, on the fixed grid."""
        return jacobian_determinant(self.fixed_to_moving, onto=self.fixed.grid)

    def without_folding(self) -> "Registration":
        """Returns the registration changed until no voxel of the fixed image folds.

        The transform changes around its folds alone. No voxel of its own displacement
        fields folds afterwards either, so that it has an inverse. Returns the same
        object if nothing folds. A `FoldingWarning` states the percentage of folding
        voxels where folds could not be removed.
        """
        seconds = dict(self.seconds)
        with timing(seconds, "unfolding"):
            transform, left_percent = remove_folds(
                self.fixed_to_moving, onto=self.fixed.grid
            )
        if left_percent > 0:
            warnings.warn(
                f"{left_percent:.3g} % of the fixed image's voxels still fold, and no "
                "way was found to unfold them: refine with velocities (diffeomorphic)",
                FoldingWarning,
                stacklevel=2,
            )
        if transform is self.fixed_to_moving:
            return self
        stage = TweeningStage(self.stages[-1].name, transform)
        return replace(self, stages=(*self.stages[:-1], stage), seconds=seconds)

    @cached_property
    def correlation(self) -> dict[str, float]:
        """Correlation coefficient with the fixed image, before and after."""
        return {
            "before": correlation_of(self.fixed, self.moving, self.before),
            "after": correlation_of(self.fixed, self.moved),
        }

    def dice(self, fixed: LabelMap, moving: LabelMap) -> dict[str, dict[int, float]]:
        """Dice of every label present in both maps, before and after each stage.

        Measured on the fixed label map's grid, with labels resampled by nearest
        neighbor. A `SuspiciousInputWarning` says if no label overlaps in the end, or
        if labels hardly lie on their scan (see `check_labels_on_scan`).

        Raises:
            InputError: If the two maps have no label in common, or lie off their scans.
        """
        check_labels_on_scan(fixed, self.fixed.grid, name="fixed labels")
        check_labels_on_scan(moving, self.moving.grid, name="moving labels")
        shared = labels_in_common(fixed, moving)
        result = {}
        for name, transform in self.tweening.items():
            moved = transform.resample(moving, onto=fixed.grid)
            per_label = dice_per_label(fixed.data, moved.data)
            result[name] = {label: per_label[label] for label in shared}
        last = [*result.values()][-1]
        warn_if_nothing_overlaps(last.values(), name="labels after the registration")
        return result

    @property
    def tweening(self) -> dict[str, Transform]:
        """Fixed to moving transforms by name: before, then after each stage.

        Resampling the moving image with each gives the frames of the tweening.
        """
        stages = {stage.name: stage.fixed_to_moving for stage in self.stages}
        return {"before": self.before, **stages}

    def mean_dice(self, fixed: LabelMap, moving: LabelMap) -> dict[str, float]:
        """Mean of `dice` over the labels, before and after each stage.

        Raises:
            InputError: As `dice`.
        """
        return means(self.dice(fixed, moving))

    def show(self) -> None:
        """Shows both scans before and after, in the notebook or the system's viewer.

        Raises:
            InputError: If there is neither.
        """
        self._shown().show()

    def __repr__(self) -> str:
        grade = f"{self.verdict.grade}, " if "verdict" in vars(self) else ""
        stages = ", ".join(self.tweening)
        return f"<Registration by model {self.model_name}, {grade}stages {stages}>"

    def _repr_html_(self) -> str:
        return self._shown().html()

    def _repr_png_(self) -> bytes:
        return self._shown().png()

    def _shown(self) -> Shown:
        words = [f"Registration by model {self.model_name}"]
        # Measured in seconds: a notebook shows what has been asked for already.
        if "verdict" in vars(self):
            verdict = self.verdict
            words.append(f"verdict: {': '.join((verdict.grade, *verdict.reasons))}")
        if "correlation" in vars(self):
            before, after = self.correlation["before"], self.correlation["after"]
            words.append(f"correlation {before:.3f} before, {after:.3f} after")
        shown = {"moving, centered": self.before, "moved": self.fixed_to_moving}
        return show_pair(self.fixed, self.moving, shown, words)


def means(dice: Mapping[str, Mapping[Any, float]]) -> dict[str, float]:
    """The mean over the structures, by stage."""
    return {
        stage: float(np.mean(list(per_structure.values())))
        for stage, per_structure in dice.items()
    }


def _describe_round_trip(measured: RoundTrip, limit_mm: float) -> str:
    assert measured.worst_mm is not None
    place = ", ".join(f"{position:.0f}" for position in measured.worst_mm)
    return (
        f"the inverse is not exact in {measured.beyond_percent:.2g} % of the fixed "
        f"scan's foreground, above all around (R, A, S) = ({place}) mm: points return "
        f"there from the moving scan more than half a voxel ({limit_mm:.3g} mm) from "
        f"where they were, at most {measured.error_mm['largest']:.3g} mm. Do not trust "
        "what moving_to_fixed carries there, or refine with velocities (diffeomorphic)"
    )

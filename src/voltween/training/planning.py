"""Plans a training from the fingerprint of a cohort, with a reason per decision."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voltween import io
from voltween.cohorts import Case
from voltween.networks import CascadeConfig
from voltween.preprocessing import Placement, Preprocessing
from voltween.spatial import spacing_and_shape
from voltween.training.augmentation import Augmentation
from voltween.training.fingerprint import CohortFingerprint, Three, along_axes, spread
from voltween.training.objective import Objective
from voltween.training.plan_file import TrainingPlan
from voltween.training.recipe import SHIPPED_TRAINING, SYNTHESIS_TRAINING, TrainConfig

Notes = dict[str, str]

FLOW_MULTIPLIER = 10.0
"""Flow multiplier of dense subnetworks in new trainings. Flows grow faster than with
the paper's 1, and the Dice after equal steps is better (docs/experiments.md)."""

UNKNOWN_TISSUES = (
    "write one if structures look alike in scans, such as left and right, or parts of "
    "the cortex"
)
"""The note on the table of tissues of a cohort, which nobody else can know."""

_MOST_VOXELS = 128**3
_MOST_VOXELS_WITHOUT_GPU = 64 * 80 * 80
_SIDE_MULTIPLE = 16
_FORGIVEN_VOXELS = 0.16  # of a side, so that rounding does not cost 16 voxels more
_COARSENING = 1.01  # factor on the voxel size per attempt to fit the grid

_MARGIN = 1.1  # factor on the foreground, which augmentation and placement move
_SMALL_FOREGROUND = 0.7  # share of the field of view

_THREE_DENSE_VOXELS_WITHOUT_GPU = 200_000
_FEWEST_COARSEST_VOXELS = 2
_MOST_LEVELS = 6
_MOST_AFFINE_LEVELS = 5

_STEPS = 4000
_STEPS_OF_FEW = 2000
_FEW_CASES = 10
_SLICE_VOXELS, _SLICE_MM = 3.2, 8.0  # thickest slices of synthesized scans
_MOST_VALIDATION_PAIRS = 20


class Region(NamedTuple):
    """The region of the scans of a cohort that a canonical grid should cover."""

    extent_mm: Three
    """Sides along R, A and S."""
    placement: Placement
    """Place of the grid that covers it."""
    reason: str
    """The reason for the placement."""

    @property
    def in_words(self) -> str:
        """The sides, and what they are enough for."""
        is_small = self.placement == "foreground"
        what = "foregrounds with a margin" if is_small else "fields of view"
        return f"{along_axes(self.extent_mm)} mm, enough for 95 % of the {what}"


def plan(
    manifest: Path, fingerprint: CohortFingerprint, *, has_gpu: bool
) -> tuple[TrainingPlan, Notes]:
    """Plans a training on a cohort.

    Returns:
        The plan, and reasons by the dotted keys of its settings.
    """
    preprocessing, notes = _preprocessing(fingerprint, has_gpu=has_gpu)
    cascade, cascade_notes = _cascade(preprocessing.shape, has_gpu=has_gpu)
    if fingerprint.without_scan:
        spacing_mm = max(preprocessing.spacing_mm)
        training, training_notes = _synthesis(fingerprint, cascade, spacing_mm)
    else:
        training, training_notes = _training(fingerprint, cascade)
    decided = TrainingPlan(manifest.resolve(), preprocessing, cascade, training)
    return decided, notes | cascade_notes | training_notes


def fit_preprocessing(cases: Iterable[Case]) -> Preprocessing:
    """Fits a canonical grid to a cohort: median voxel size, widest field of view.

    Widest is the 95th percentile. The grid is coarser if it would exceed 128^3 voxels.
    """
    grids = [spacing_and_shape(io.read(case.image).grid) for case in cases]
    extent = spread(spacing * shape for spacing, shape in grids)
    spacing_mm = spread(spacing for spacing, _ in grids).median
    shape, spacing_mm = fitted_grid(extent.usual, spacing_mm, _MOST_VOXELS)
    return Preprocessing(shape=shape, spacing_mm=spacing_mm)


def fit_box(cases: Iterable[Case], shape: tuple[int, int, int]) -> Preprocessing:
    """Fits a canonical grid of a given shape to a cohort: the widest field of view.

    Widest is the 95th percentile. The voxel size is the field of view divided by the
    shape, as for the paper's 128^3 voxels around an organ (section V-A 2).
    """
    grids = [spacing_and_shape(io.read(case.image).grid) for case in cases]
    extent_mm = spread(spacing * sides for spacing, sides in grids).usual
    r, a, s = (mm / side for mm, side in zip(extent_mm, shape, strict=True))
    return Preprocessing(shape=shape, spacing_mm=(r, a, s))


def fitted_grid(
    extent_mm: Three, spacing_mm: Three, most_voxels: int
) -> tuple[tuple[int, int, int], Three]:
    """Shape, in multiples of 16, and voxel size of a grid that covers an extent.

    If it would exceed `most_voxels` it gets coarser, first along the finest axis.
    """
    finest = min(spacing_mm)
    while True:
        spacing = np.round(np.maximum(spacing_mm, finest), 3)
        blocks = (np.array(extent_mm) / spacing - _FORGIVEN_VOXELS) / _SIDE_MULTIPLE
        i, j, k = (int(n) * _SIDE_MULTIPLE for n in np.ceil(blocks).clip(1))
        if i * j * k <= max(most_voxels, _SIDE_MULTIPLE**3):
            r, a, s = (float(mm) for mm in spacing)
            return (i, j, k), (r, a, s)
        finest *= _COARSENING


def _preprocessing(
    fingerprint: CohortFingerprint, *, has_gpu: bool
) -> tuple[Preprocessing, Notes]:
    covered = covered_region(fingerprint)
    shape, spacing_mm, spacing_note = _grid(
        covered.extent_mm, fingerprint, has_gpu=has_gpu
    )
    window, intensity_notes = _intensities(fingerprint)
    preprocessing = Preprocessing(
        shape=shape,
        spacing_mm=spacing_mm,
        placement=covered.placement,
        hounsfield_window=window,
    )
    return preprocessing, {
        "preprocessing.shape": f"multiples of {_SIDE_MULTIPLE} that cover "
        f"{covered.in_words}",
        "preprocessing.spacing_mm": spacing_note,
        "preprocessing.placement": covered.reason,
        **intensity_notes,
    }


def covered_region(fingerprint: CohortFingerprint) -> Region:
    """The region of the scans that a canonical grid should cover."""
    field_mm = np.array(fingerprint.field_of_view_mm.usual)
    body_mm = np.minimum(field_mm, np.array(fingerprint.foreground_mm.usual) * _MARGIN)
    placement, reason = _placement(body_mm, field_mm, fingerprint)
    r, a, s = (float(mm) for mm in (body_mm if placement == "foreground" else field_mm))
    return Region((r, a, s), placement, reason)


def _placement(
    body_mm: Float[np.ndarray, " 3"],
    field_mm: Float[np.ndarray, " 3"],
    fingerprint: CohortFingerprint,
) -> tuple[Placement, str]:
    """Chooses where the grid lies on a scan, and gives the reason."""
    if bare := fingerprint.without_scan:
        return "grid centre", (
            f"{bare} of {fingerprint.cases} training cases have a label map and no "
            "scan: the foreground of the scans to come is not known"
        )
    share = round(float(body_mm.prod() / field_mm.prod()), 2)  # as the reason says it
    takes = f"the foreground with a margin takes {share:.0%} of the field of view"
    if share < _SMALL_FOREGROUND:
        return "foreground", f"{takes}, less than {_SMALL_FOREGROUND:.0%}"
    return "grid centre", f"{takes}, {_SMALL_FOREGROUND:.0%} or more"


def _grid(
    extent_mm: Three, fingerprint: CohortFingerprint, *, has_gpu: bool
) -> tuple[tuple[int, int, int], Three, str]:
    """Shape and voxel size, and the reason for the latter."""
    median_mm = fingerprint.spacing_mm.median
    most_voxels = _MOST_VOXELS if has_gpu else _MOST_VOXELS_WITHOUT_GPU
    shape, spacing_mm = fitted_grid(extent_mm, median_mm, most_voxels)
    reason = f"the median of the scans is {along_axes(median_mm)} mm"
    if not np.allclose(spacing_mm, median_mm, atol=1e-3):
        reason += f"; coarser, so that the grid has at most {most_voxels} voxels"
        reason += "" if has_gpu else ", as no GPU was found"
    return shape, spacing_mm, reason


def _intensities(
    fingerprint: CohortFingerprint,
) -> tuple[tuple[float, float] | None, Notes]:
    """The Hounsfield window of CT; None for intensity percentiles."""
    if not fingerprint.is_ct:
        return None, {"preprocessing.intensity_percentiles": _no_window(fingerprint)}
    low, _, high = (round(value, -1) for value in fingerprint.intensities)
    return (low, max(high, low + 10)), {
        "preprocessing.hounsfield_window": "CT: 2nd and 98th percentile of voxels "
        "that are denser than lung or labeled"
    }


def _no_window(fingerprint: CohortFingerprint) -> str:
    """The reason for intensity percentiles."""
    if fingerprint.without_scan == fingerprint.cases:
        return (
            "label maps have no intensities; synthesized scans are scaled by their own"
        )
    return (
        "used because fewer than 90 % of the scans look like CT; if they are CT, set "
        "hounsfield_window instead"
    )


def _cascade(
    shape: tuple[int, int, int], *, has_gpu: bool
) -> tuple[CascadeConfig, Notes]:
    voxels = int(np.prod(shape))
    if has_gpu or voxels <= _THREE_DENSE_VOXELS_WITHOUT_GPU:
        stages, reason = "ADDD", f"{voxels} voxels allow for three dense subnetworks"
    else:
        stages = "ADD"
        reason = f"{voxels} voxels, without a GPU, are too many for a third D"
    most = int(np.log2(min(shape) / _FEWEST_COARSEST_VOXELS))
    cascade = CascadeConfig(
        stages=stages,
        shape=shape,
        levels=min(most, _MOST_LEVELS),
        affine_levels=min(most, _MOST_AFFINE_LEVELS),
        flow_multiplier=FLOW_MULTIPLIER,
    )
    return cascade, {
        "cascade.stages": reason,
        "cascade.levels": f"{_MOST_LEVELS}, or as many as leave the coarsest side "
        f"{_FEWEST_COARSEST_VOXELS} voxels",
        "cascade.flow_multiplier": "10 was better than 1 after equal steps in trials",
    }


def _training(
    fingerprint: CohortFingerprint, cascade: CascadeConfig
) -> tuple[TrainConfig, Notes]:
    objective, objective_notes = _objective(fingerprint, cascade)
    augmentation, augmentation_notes = _augmentation(fingerprint)
    if fingerprint.cases < _FEW_CASES:
        steps, reason = _STEPS_OF_FEW, f"{fingerprint.cases} scans are soon overfitted"
    else:
        steps = _STEPS
        reason = "about an hour on two cores for 400 000 voxels, proportional to voxels"
    pairs, pairs_reason = _validation_pairs(fingerprint.splits["val"])
    training = replace(
        SHIPPED_TRAINING,
        steps=steps,
        objective=objective,
        augmentation=augmentation,
        validation_pairs=pairs,
    )
    return training, {
        "training.steps": reason,
        "training.learning_rate": "as for the shipped models",
        "training.validation_pairs": pairs_reason,
        **objective_notes,
        **augmentation_notes,
    }


def _synthesis(
    fingerprint: CohortFingerprint, cascade: CascadeConfig, spacing_mm: float
) -> tuple[TrainConfig, Notes]:
    """The training on label maps, for cohorts in which scans are missing."""
    overlap = overlap_weights(cascade)
    slice_mm = min(_SLICE_MM, float(f"{_SLICE_VOXELS * spacing_mm:.2g}"))
    pairs, pairs_reason = _validation_pairs(fingerprint.splits["val"])
    training = replace(
        SYNTHESIS_TRAINING,
        objective=replace(SYNTHESIS_TRAINING.objective, overlap=overlap),
        synthesis=replace(SYNTHESIS_TRAINING.synthesis, slice_mm=slice_mm),
        validation_pairs=pairs,
    )
    return training, {
        "training.synthesis.slice_mm": f"{_SLICE_VOXELS:g} voxels of the network's "
        f"grid, and {_SLICE_MM:g} mm at most",
        "training.synthesis.share": f"{fingerprint.without_scan} of "
        f"{fingerprint.cases} training cases have a label map and no scan",
        "training.synthesis.tissues": UNKNOWN_TISSUES,
        "training.synthesis.unlabeled": '"dark" if maps label all that scans show',
        "training.objective.overlap": "all that is learned: the structures fit",
        "training.validation_pairs": pairs_reason,
    }


def overlap_weights(cascade: CascadeConfig) -> tuple[float, ...]:
    """Weights of the overlap: of the last dense and of the affine stage."""
    of_dense = (2.0, *(0.0,) * len(cascade.dense_stage_names))
    of_affine = (0.5,) if "A" in cascade.stages else ()
    return (*of_dense[: len(cascade.dense_stage_names)], *of_affine)


def _validation_pairs(cases: int) -> tuple[int, str]:
    pairs = cases * (cases - 1)
    if pairs == 0:
        reason = "not used, as pairs need two `val` cases: the last model is kept"
        return _MOST_VALIDATION_PAIRS, reason
    used = min(pairs, _MOST_VALIDATION_PAIRS)
    which = "" if used == pairs else f", of which {used} are drawn"
    return used, f"{cases} `val` cases make {pairs} ordered pairs{which}"


def _objective(
    fingerprint: CohortFingerprint, cascade: CascadeConfig
) -> tuple[Objective, Notes]:
    if fingerprint.is_labeled:
        overlap = overlap_weights(cascade)
        reason = (
            "weak supervision of the last and the affine stage, as every training case "
            "has labels; [] trains on images only"
        )
    else:
        overlap = ()
        reason = (
            f"not used: {fingerprint.labeled} of {fingerprint.cases} training cases "
            "have labels"
        )
    return replace(SHIPPED_TRAINING.objective, overlap=overlap), {
        "training.objective.last_similarity": "local correlation follows detail; "
        "the correlation only sees the whole image",
        "training.objective.overlap": reason,
    }


def _augmentation(fingerprint: CohortFingerprint) -> tuple[Augmentation, Notes]:
    augmentation = SHIPPED_TRAINING.augmentation
    reason = "scans differ in pose and shape, and their intensities vary as in MR"
    if fingerprint.is_ct:
        augmentation = replace(augmentation, gamma=0.2, bias=0.0)
        reason = "scans differ in pose and shape; Hounsfield units vary little"
    return augmentation, {"training.augmentation": reason}

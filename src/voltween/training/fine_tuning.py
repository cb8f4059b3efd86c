"""Fine-tuning: plans whose grid, preprocessing and cascade are those of a model.

The affine subnetwork reads features of the whole grid, so the shape of the grid stays.
What the scans need otherwise, such as another voxel size, is adapted, with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from voltween import io
from voltween.cohorts import Case, cases_of_split
from voltween.errors import InputError
from voltween.models import Model, ModelFingerprint, load_model
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.spatial import Image
from voltween.training.fingerprint import CohortFingerprint, Three, along_axes
from voltween.training.label_volumes import labels_as_image
from voltween.training.model_references import reference_of
from voltween.training.model_training import (
    keep_any_contrast,
    keep_masked_pairs,
    keeps_any_contrast,
)
from voltween.training.plan_file import TrainingPlan
from voltween.training.planning import Notes, covered_region
from voltween.training.recipe import SHIPPED_LEARNING_RATE, TrainConfig

_RATE = SHIPPED_LEARNING_RATE / 5
_STEPS = 1000
_STEPS_OF_FEW = 500
_FEW_CASES = 10
_VALIDATIONS = 20
_PATIENCE = 5
_MOST_MEASURED = 10  # scans, of which the size is compared with that of the model's
_MOST_STRETCHING = 1.25  # of voxels along one axis against another
_DIGITS = 3  # of an adapted voxel size

_FILLED = 0.6, 1.25
"""Shares of each side of a grid that what it is laid around may take. Grids of plans
have sides of whole multiples of 16 voxels, so that scans can be much smaller."""


def fine_tuned(
    plan: TrainingPlan,
    model_name: str,
    cases: Sequence[Case],
    fingerprint: CohortFingerprint,
) -> tuple[TrainingPlan, Notes]:
    """Turns a plan into that of a fine-tuning.

    Objective, augmentation and all that is not named in the notes stay as in the plan.

    Args:
        plan: The plan.
        model_name: Shipped or own model, or model file, to start from.
        cases: The cohort.
        fingerprint: Its fingerprint.

    Returns:
        The plan, and reasons by the dotted keys of the settings that changed.

    Raises:
        InputError: If there is no such model, it is no cascade, or a scan cannot be
            read.
    """
    model = load_model(model_name)
    cascade = model.network.config
    if not isinstance(cascade, CascadeConfig):
        raise InputError(
            about=model_name,
            expected="a cascade, as plans are for cascades",
            got=cascade.title,
            advice="train with --network voxelmorph-2 --start-from MODEL",
        )
    some = _some_of(cases_of_split(cases, "train"))
    preprocessing, notes = _preprocessing(model, plan.preprocessing, some, fingerprint)
    training, fitted = _with_fitted_overlap(plan, cascade)
    training, kept = keep_any_contrast(model, training, preprocessing, fingerprint)
    training, masked = keep_masked_pairs(model, training, some, fingerprint)
    training, shortened = _shortened(training, fingerprint)
    tuned = TrainingPlan(
        plan.manifest,
        preprocessing,
        cascade,
        replace(training, start_from=reference_of(model_name)),
    )
    return tuned, {
        **notes,
        "cascade.stages": f"the cascade of {model.name}, whose weights it takes",
        "training.start_from": "weights before the first step",
        **fitted,
        **kept,
        **masked,
        **shortened,
    }


def notes_that_hold(notes: Notes, planned: TrainingPlan, tuned: TrainingPlan) -> Notes:
    """The reasons of a plan that hold beside those of its fine-tuning.

    Reasons for a grid or a cascade of the plan's own do not hold any more, nor do those
    for settings that the fine-tuning changed.
    """
    before, after = asdict(planned), asdict(tuned)
    return {
        key: note
        for key, note in notes.items()
        if key.startswith("training.") and _setting(before, key) == _setting(after, key)
    }


def _setting(facts: Any, key: str) -> Any:
    """The value of a setting by its dotted key."""
    for name in key.split("."):
        facts = facts[name]
    return facts


def _preprocessing(
    model: Model,
    planned: Preprocessing,
    cases: Sequence[Case],
    fingerprint: CohortFingerprint,
) -> tuple[Preprocessing, Notes]:
    """The model's rules, with another voxel size or window if the scans need it."""
    rules = model.preprocessing
    notes = {
        "preprocessing.shape": f"that of {model.name}, which its affine part needs"
    }
    has_window = rules.hounsfield_window is not None
    if fingerprint.is_ct and not has_window and keeps_any_contrast(model, fingerprint):
        # Within a window of CT, MR would be black.
        notes["preprocessing.intensity_percentiles"] = (
            f"those of {model.name} and no Hounsfield window, as other scans than CT "
            "have no such units, and it goes on learning any contrast"
        )
    elif fingerprint.is_ct != has_window:
        window = planned.hounsfield_window if fingerprint.is_ct else None
        rules = replace(rules, hounsfield_window=window)
        kinds = ("CT", "not") if fingerprint.is_ct else ("no CT", "from CT")
        notes["preprocessing.hounsfield_window"] = (
            f"adapted: the scans are {kinds[0]}, and {model.name} learned {kinds[1]}"
        )
    fault = _size_fault(model.fingerprint, rules, cases)
    if not fault:
        same = f"that of {model.name}"
        notes["preprocessing.spacing_mm"] = notes["preprocessing.placement"] = same
        return rules, notes
    region = covered_region(fingerprint)
    notes |= {
        "preprocessing.spacing_mm": f"adapted, so that the grid covers "
        f"{region.in_words}; {model.name} has "
        f"{along_axes(model.preprocessing.spacing_mm)} mm, but {fault}",
        "preprocessing.placement": f"adapted: {region.reason}",
    }
    spacing_mm = _spacing_mm(region.extent_mm, rules)
    return replace(rules, spacing_mm=spacing_mm, placement=region.placement), notes


def _some_of(cases: Sequence[Case]) -> list[Case]:
    """At most ten cases to judge by, spread evenly over a cohort."""
    count = min(len(cases), _MOST_MEASURED)
    numbers = np.linspace(0, len(cases) - 1, count).round().astype(int)
    return [cases[n] for n in numbers]


def _size_fault(
    fingerprint: ModelFingerprint | None, rules: Preprocessing, cases: Sequence[Case]
) -> str:
    """Says why the model's grid does not suit the scans; empty if it does.

    It suits if most scans show something of the size that the model learned from. If
    the model does not state this size, its grid must suit what it is laid around.
    """
    scans = (_shown(case) for case in cases)
    faults = [
        fingerprint.size_fault(scan) if fingerprint else _cover_fault(rules, scan)
        for scan in scans
    ]
    wrong = [fault for fault in faults if fault]
    return wrong[0] if len(wrong) > len(faults) / 2 else ""


def _shown(case: Case) -> Image:
    """The scan of a case; of a label map alone, where it has labels."""
    return io.read(case.image) if case.has_scan else labels_as_image(case)[0]


def _cover_fault(rules: Preprocessing, scan: Image) -> str:
    """Says why a grid is too small or too large for what it is laid around."""
    covered_mm = np.multiply(rules.shape, rules.spacing_mm)
    shown_mm = rules.surrounded_mm(scan)
    smallest, largest = _FILLED
    shares = shown_mm / covered_mm
    if smallest <= shares.min() and shares.max() <= largest:
        return ""
    return (
        f"covers {along_axes(_three(covered_mm))} mm with them, and what the placement "
        f'"{rules.placement}" lays it around measures {along_axes(_three(shown_mm))} mm'
    )


def _spacing_mm(extent_mm: Three, rules: Preprocessing) -> Three:
    """The voxel size, rounded up, with which the model's grid covers an extent.

    Each axis is scaled on its own, but voxels nearly keep the proportions that the
    model learned from.
    """
    spacing_mm = np.array(rules.spacing_mm)
    scales = np.array(extent_mm) / (np.array(rules.shape) * spacing_mm)
    scales = np.maximum(scales, scales.max() / _MOST_STRETCHING)
    return _three([_rounded_up(mm) for mm in (scales * spacing_mm).tolist()])


def _rounded_up(mm: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(mm)) - _DIGITS + 1)
    return float(f"{math.ceil(mm / unit - 1e-9) * unit:.{_DIGITS}g}")


def _with_fitted_overlap(
    plan: TrainingPlan, cascade: CascadeConfig
) -> tuple[TrainConfig, Notes]:
    """The training of a plan with weights of the overlap for another cascade."""
    objective = plan.training.objective
    overlap = _overlap(objective.overlap, plan.cascade, cascade)
    if overlap == objective.overlap:
        return plan.training, {}
    training = replace(plan.training, objective=replace(objective, overlap=overlap))
    return training, {
        "training.objective.overlap": "fitted to the stages of the cascade"
    }


def _shortened(
    training: TrainConfig, fingerprint: CohortFingerprint
) -> tuple[TrainConfig, Notes]:
    """A training with the steps, the rate and the patience of a fine-tuning."""
    steps = _STEPS_OF_FEW if fingerprint.cases < _FEW_CASES else _STEPS
    shortened = replace(
        training,
        steps=steps,
        steps_per_epoch=None,
        learning_rate=_RATE,
        validate_every=steps // _VALIDATIONS,
        patience=_PATIENCE,
    )
    return shortened, {
        "training.steps": f"few, so that what was learned is not lost: {_STEPS}, or "
        f"{_STEPS_OF_FEW} with fewer than {_FEW_CASES} training cases (here "
        f"{fingerprint.cases})",
        "training.learning_rate": "a fifth of that of the shipped models, for the "
        "same reason",
        "training.validate_every": f"{_VALIDATIONS} validations",
        "training.patience": "stops early after so many validations without a better "
        "model; the best step is kept",
    }


def _overlap(
    weights: tuple[float, ...], planned: CascadeConfig, cascade: CascadeConfig
) -> tuple[float, ...]:
    """Weights of the overlap for another number of stages, the affine one's kept."""
    dense = len(planned.dense_stage_names)
    has_affine_weight = len(weights) == len(planned.stage_names) > dense
    if not has_affine_weight:
        return weights[: len(cascade.stage_names)]
    *of_dense, affine = weights
    wanted = len(cascade.dense_stage_names)
    filled = [*of_dense, *[0.0] * wanted][:wanted]
    return (*filled, affine) if "A" in cascade.stages else tuple(filled)


def _three(values: "Sequence[float] | np.ndarray") -> Three:
    r, a, s = (float(value) for value in values)
    return r, a, s

"""Fine-tuning: plans whose grid, preprocessing and cascade are those of a model.

The affine subnetwork reads features of the whole grid, so the shape of the grid stays.
What the scans need otherwise, such as another voxel size, is adapted, with the reason.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voltween import io
from voltween.cohorts import Case, cases_of_split
from voltween.errors import InputError
from voltween.models import Model, ModelFingerprint, load_model
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.training.fingerprint import CohortFingerprint, Three, along_axes
from voltween.training.model_references import reference_of
from voltween.training.plan_file import TrainingPlan
from voltween.training.planning import Notes, Region, covered_region
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
    preprocessing, notes = _preprocessing(model, plan.preprocessing, cases, fingerprint)
    training, training_notes = _training(plan, cascade, fingerprint)
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
        **training_notes,
    }


def notes_that_hold(notes: Notes, changes: Notes) -> Notes:
    """The reasons of a plan beside those of its fine-tuning, which replace the rest.

    Reasons for a grid or a cascade of the plan's own do not hold any more.
    """
    kept = {key: note for key, note in notes.items() if key.startswith("training.")}
    return kept | changes


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
    region = covered_region(fingerprint)
    fault = _size_fault(model.fingerprint, rules, cases, region)
    if fault:
        rules = replace(
            rules,
            spacing_mm=_spacing_mm(region.extent_mm, rules),
            placement=region.placement,
        )
        notes |= {
            "preprocessing.spacing_mm": f"adapted, so that the grid covers "
            f"{region.in_words}; {model.name} has "
            f"{along_axes(model.preprocessing.spacing_mm)} mm, but {fault}",
            "preprocessing.placement": f"adapted: {region.reason}",
        }
    else:
        notes["preprocessing.spacing_mm"] = f"that of {model.name}"
    if fingerprint.is_ct != (rules.hounsfield_window is not None):
        window = planned.hounsfield_window if fingerprint.is_ct else None
        rules = replace(rules, hounsfield_window=window)
        kinds = ("CT", "not") if window else ("no CT", "from CT")
        notes["preprocessing.hounsfield_window"] = (
            f"adapted: the scans are {kinds[0]}, and {model.name} learned {kinds[1]}"
        )
    return rules, notes


def _size_fault(
    fingerprint: ModelFingerprint | None,
    rules: Preprocessing,
    cases: Sequence[Case],
    region: Region,
) -> str:
    """Says why the model's grid does not suit the scans; empty if it does.

    It suits if most scans show something of the size that the model learned from.
    """
    if fingerprint is None:
        covered_mm = np.multiply(rules.shape, rules.spacing_mm)
        if np.allclose(covered_mm, region.extent_mm, rtol=0.25):
            return ""
        return f"covers {along_axes(_three(covered_mm))} mm with them"
    train = cases_of_split(cases, "train")
    count = min(len(train), _MOST_MEASURED)
    numbers = np.linspace(0, len(train) - 1, count).round().astype(int)
    faults = [fingerprint.size_fault(io.read(train[n].image)) for n in numbers]
    wrong = [fault for fault in faults if fault]
    return wrong[0] if len(wrong) > len(faults) / 2 else ""


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


def _training(
    plan: TrainingPlan, cascade: CascadeConfig, fingerprint: CohortFingerprint
) -> tuple[TrainConfig, Notes]:
    is_few = fingerprint.cases < _FEW_CASES
    steps = _STEPS_OF_FEW if is_few else _STEPS
    objective = plan.training.objective
    overlap = _overlap(objective.overlap, plan.cascade, cascade)
    training = replace(
        plan.training,
        objective=replace(objective, overlap=overlap),
        steps=steps,
        steps_per_epoch=None,
        learning_rate=_RATE,
        validate_every=steps // _VALIDATIONS,
        patience=_PATIENCE,
    )
    notes = {
        "training.steps": f"a quarter of a training from nothing; {fingerprint.cases} "
        "scans",
        "training.learning_rate": "a fifth of that of the shipped models, so that what "
        "was learned is not lost",
        "training.validate_every": f"{_VALIDATIONS} validations",
        "training.patience": "early stopping; the best step is kept",
    }
    if overlap != objective.overlap:
        notes["training.objective.overlap"] = "fitted to the stages of the cascade"
    return training, notes


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

"""The training of a model, as its file states it: what a fine-tuning keeps of it.

A model of any contrast stays one only if it goes on learning from synthesized pairs,
and one that also registers stripped scans only if it goes on seeing them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np

from voltween.cohorts import Case, load_case, mask_by_labels
from voltween.models import Model, dataclass_from_facts
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.spatial import Image
from voltween.training.augmentation import Augmentation
from voltween.training.fingerprint import CohortFingerprint
from voltween.training.planning import UNKNOWN_TISSUES, Notes, overlap_weights
from voltween.training.recipe import SYNTHESIS_TRAINING, TrainConfig
from voltween.training.synthesis import Synthesis

T = TypeVar("T")

_SHARE = "training.synthesis.share"
_MASKED = "training.masked_share"


def keeps_any_contrast(model: Model, fingerprint: CohortFingerprint) -> bool:
    """Whether a model of any contrast goes on learning from synthesized pairs."""
    return bool(_facts(model, "synthesis").get("share")) and fingerprint.is_labeled


def keep_any_contrast(
    model: Model,
    planned: TrainConfig,
    rules: Preprocessing,
    fingerprint: CohortFingerprint,
) -> tuple[TrainConfig, Notes]:
    """Makes a training one on synthesized pairs if that of the model was one.

    Ranges of the synthesis and the augmentation are the model's; its table of tissues
    and its teacher belong to its own cohort. A plan that synthesizes pairs itself stays
    as it is.

    Returns:
        The training, and reasons by dotted keys: also for pairs that are not
        synthesized although the model learned from such.
    """
    stated = _facts(model, "synthesis")
    if not stated.get("share") or planned.synthesis.share > 0:
        return planned, {}
    if not keeps_any_contrast(model, fingerprint):
        return planned, {_SHARE: _why_not(model, fingerprint)}
    cascade = model.network.config
    assert isinstance(cascade, CascadeConfig)  # else it is refused before
    training = replace(
        planned,
        objective=replace(
            SYNTHESIS_TRAINING.objective, overlap=overlap_weights(cascade)
        ),
        augmentation=_settings(Augmentation, _facts(model, "augmentation")),
        synthesis=_synthesis(model, stated, rules, fingerprint),
        labels_per_pair=SYNTHESIS_TRAINING.labels_per_pair,
        masked_share=0.0,  # `stripped` masks sides of synthesized pairs
        teacher=SYNTHESIS_TRAINING.teacher,
    )
    return training, _notes(model, stated)


def keep_masked_pairs(
    model: Model,
    planned: TrainConfig,
    cases: Sequence[Case],
    fingerprint: CohortFingerprint,
) -> tuple[TrainConfig, Notes]:
    """Masks as many pairs by labels as the training of the model did, if that is fit.

    It is fit if every training case has labels, and most scans masked by them show
    something of the size of the model's own masked scans: labels of a few structures
    do not strip a head.

    Args:
        model: The model.
        planned: The training, whose own share of masked pairs is kept if it has one.
        cases: Training cases to judge by.
        fingerprint: The fingerprint of the cohort.

    Returns:
        The training, and reasons by dotted keys.

    Raises:
        InputError: If a case cannot be read.
    """
    stated = model.provenance.get("training")
    share = stated.get("masked_share") if isinstance(stated, Mapping) else None
    if not share or planned.masked_share > 0 or planned.synthesis.share > 0:
        return planned, {}
    fault = _masking_fault(model, cases, fingerprint)
    if fault:
        reason = f"0, though {model.name} learned with {share:g}: {fault}"
        return planned, {_MASKED: reason}
    return replace(planned, masked_share=float(share)), {
        _MASKED: f"that of {model.name}, so that it still registers stripped scans: "
        "the labels of all training cases cover what it learned to see of them"
    }


def _synthesis(
    model: Model,
    stated: Mapping[str, Any],
    rules: Preprocessing,
    fingerprint: CohortFingerprint,
) -> Synthesis:
    """The synthesis of a model on another cohort."""
    kept = _settings(Synthesis, stated, without=("tissues", "teacher"))
    scale = np.divide(rules.spacing_mm, model.preprocessing.spacing_mm).mean()
    return replace(
        kept,
        share=1.0 if fingerprint.without_scan else kept.share,
        slice_mm=round(kept.slice_mm * float(scale), 3),
    )


def _why_not(model: Model, fingerprint: CohortFingerprint) -> str:
    missing = fingerprint.cases - fingerprint.labeled
    return (
        f"{model.name} learned any contrast from synthesized pairs, but {missing} of "
        f"{fingerprint.cases} training cases have no labels, from which pairs are "
        "synthesized: this training is one on the scans in their own contrast. To keep "
        "any contrast, list only cases with labels, and plan again"
    )


def _notes(model: Model, stated: Mapping[str, Any]) -> Notes:
    notes = {
        _SHARE: f"{model.name} learned any contrast from synthesized pairs, and keeps "
        "it by them; to learn the contrast of the scans alone, set 0, "
        "objective.affine_similarity = 1 and objective.dense_similarity = [1]",
        "training.synthesis.scans": f"this and the next settings as {model.name} "
        "learned",
        "training.synthesis.tissues": UNKNOWN_TISSUES,
        "training.objective.overlap": "all that is learned: the structures fit",
        "training.objective.dense_similarity": "none, as the sides of a synthesized "
        "pair have contrasts that have nothing to do with each other",
        "training.augmentation": f"that of {model.name}",
    }
    if teacher := stated.get("teacher"):
        notes["training.synthesis.teacher"] = (
            f"not kept: {model.name} also learned the flows of {teacher}. Set it, with "
            "objective.end_point_error as its weight, if it knows the contrast of the "
            "scans and has the same grid"
        )
    return notes


def _masking_fault(
    model: Model, cases: Sequence[Case], fingerprint: CohortFingerprint
) -> str:
    """Says why scans cannot be masked by their labels; empty if they can."""
    missing = fingerprint.cases - fingerprint.labeled
    if missing:
        return (
            f"{missing} of {fingerprint.cases} training cases have no labels to mask by"
        )
    if model.fingerprint is None:
        return "its file does not say what masked scans should show"
    faults = [
        model.fingerprint.size_fault(_masked(case), is_masked=True) for case in cases
    ]
    wrong = [fault for fault in faults if fault]
    if len(wrong) <= len(faults) / 2:
        return ""
    return f"where scans are masked by their labels, {wrong[0]}"


def _masked(case: Case) -> Image:
    image, labels = load_case(case)
    assert labels is not None  # every training case has labels
    return mask_by_labels(image, labels)


def _facts(model: Model, group: str) -> Mapping[str, Any]:
    """A group of the settings that a model was trained with; empty if not stated."""
    training = model.provenance.get("training")
    stated = training.get(group) if isinstance(training, Mapping) else None
    return stated if isinstance(stated, Mapping) else {}


def _settings(
    kind: type[T], stated: Mapping[str, Any], without: Sequence[str] = ()
) -> T:
    """Settings as stated; those that this version does not know are left out."""
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    kept = {k: v for k, v in stated.items() if k in known and k not in without}
    return dataclass_from_facts(kind, kept)

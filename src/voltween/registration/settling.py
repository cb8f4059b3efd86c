"""Settles what a registration was asked for: which model, and which refinement."""

import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple, cast, get_args

from voltween.errors import FitWarning, InputError
from voltween.models import (
    FeatureModel,
    Model,
    check_fit,
    choose_features,
    choose_model,
    load_model,
)
from voltween.refinement import (
    FEATURES,
    WITHOUT_MODEL,
    Effort,
    NamedRefinement,
    Refinement,
    TransformKind,
    choose_refinement,
)
from voltween.registration.alike import Alike
from voltween.registration.guidance import Guidance
from voltween.registration.usual import usual_of
from voltween.spatial import Image
from voltween.storage import PathLike

AUTO: Literal["auto"] = "auto"
"""The model, or the refinement, that suits the scans."""
RefinementChoice = Refinement | Effort | TransformKind | Literal["auto"] | None
"""Settings; an effort; the kind of transform wanted; "auto"; None for no refinement."""


class SettledModel(NamedTuple):
    """The model of a registration, and why it was taken."""

    model: Model | None
    reason: str
    alike: Alike | None = None
    """The pair for which it was settled, as it is compared; None to look again."""

    @property
    def name(self) -> str:
        """The model's name; "none" without a model."""
        return WITHOUT_MODEL if self.model is None else self.model.name


ModelChoice = Model | SettledModel | PathLike | None
"""A model, its name or file; "auto"; None or "none" for no model."""


def settle_model(
    wanted: ModelChoice,
    fixed: Image,
    moving: Image,
    *,
    load: Callable[[PathLike], Model] = load_model,
) -> SettledModel:
    """Loads or chooses the model; a `FitWarning` says where a given one does not fit.

    Args:
        wanted: The model that is wanted.
        fixed: The fixed scan.
        moving: The moving scan.
        load: Loads a model by its name or file, or returns one that was loaded before.

    Raises:
        InputError: If there is no such model, or it cannot be right for the scans.
    """
    if isinstance(wanted, SettledModel):
        return wanted
    if wanted is None or wanted == WITHOUT_MODEL:
        return SettledModel(None, "no model was wanted")
    if wanted == AUTO:
        choice = choose_model(fixed, moving)
        model = None if choice.name is None else load(choice.name)
        return SettledModel(model, choice.reason)
    model = wanted if isinstance(wanted, Model) else load(wanted)
    for fault in check_fit(model, fixed, moving):
        warnings.warn(fault, FitWarning, stacklevel=3)
    return SettledModel(model, "it was given")


def settle_refinement(
    wanted: RefinementChoice, settled: SettledModel, guidance: Guidance
) -> Refinement | None:
    """The refinement itself, by its name, or the one that pays with the model.

    Guidance needs a refinement, and gets one if the choice is left open. What a
    refinement by name compares depends on the model.
    """
    if wanted is None or isinstance(wanted, Refinement):
        return wanted
    usual, has_model = usual_of(settled.name), settled.model is not None
    effort = usual.effort
    kind: TransformKind = "deformable"
    if wanted == AUTO and effort is None and guidance.is_empty and has_model:
        return None
    if wanted in get_args(Effort):
        effort = cast(Effort, wanted)
    elif wanted in get_args(TransformKind):
        effort, kind = "accurate", cast(TransformKind, wanted)
    elif wanted != AUTO:
        raise InputError(
            about="refinement",
            expected="settings, None, or one of "
            + ", ".join(("auto", *get_args(Effort), *get_args(TransformKind))),
            got=repr(wanted),
        )
    named = choose_refinement(effort, has_model=has_model, transform=kind)
    return usual.over(named)


def settle_named(model_name: str, named: NamedRefinement | None) -> Refinement | None:
    """The refinement that a method's name stands for, after a model or without one.

    What it compares depends on the model, unless the name says it.
    """
    if named is None:
        return None
    settings = named.settings(has_model=model_name != WITHOUT_MODEL)
    return usual_of(model_name).over(settings, named.similarity)


def settle_features(
    refinement: Refinement | None, fixed: Image, moving: Image, model_name: str
) -> FeatureModel | None:
    """The learned features that a refinement compares; None if it compares none.

    Those that are named like the model are preferred.

    Raises:
        InputError: If there are none for such scans.
    """
    if refinement is None or refinement.similarity != FEATURES:
        return None
    return choose_features(fixed, moving, model_name)


def check_can_run(
    settled: SettledModel, refinement: Refinement | None, guidance: Guidance
) -> None:
    """Checks that there is something to register with, and to guide.

    Raises:
        InputError: If there is neither model nor refinement, guidance without a
            refinement, or more weights than images.
    """
    if refinement is None and settled.model is None:
        raise InputError(
            about="registration without a model",
            expected="a refinement",
            got="none",
            advice="give one, such as ACCURATE_ALONE",
        )
    if refinement is None and not guidance.is_empty:
        raise InputError(
            about="guidance",
            expected="a refinement to guide",
            got="none",
            advice="give one, such as ACCURATE",
        )
    images = 1 + len(guidance.fixed.channels)
    if refinement is not None and len(refinement.channel_weights) > images:
        raise InputError(
            about="channel_weights",
            expected=f"at most {images}, one per image of a side",
            got=refinement.channel_weights,
            advice="give the further channels as well",
        )

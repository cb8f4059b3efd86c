"""VoxelMorph-2 as a method that is trained first, as in the paper."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from voltween.cohorts import Case, cases_of_split
from voltween.evaluation.methods import Method, Registering, load_registering
from voltween.networks import VoxelMorphConfig
from voltween.registration import Criterion
from voltween.storage import facts_digest
from voltween.training import (
    VOXELMORPH_TRAINING,
    Recipe,
    fit_preprocessing,
    recipe_facts,
    train,
)


def voxelmorph_method(
    cases: Sequence[Case],
    out: Path,
    *,
    steps: int | None = None,
    device: str = "cpu",
) -> Method:
    """VoxelMorph-2, trained in a folder on the `train` cases if it is not trained yet.

    It uses the grid fitted to the cohort and the published settings, except for the
    number of steps if given.

    Raises:
        InputError: If there are no cases to train on.
    """
    recipe = voxelmorph_recipe(cases, steps)
    best = out / "best.safetensors"

    def make_ready() -> None:
        train(cases, recipe, out=out)

    def load() -> Registering:
        return load_registering(str(best), device)

    digest = facts_digest(recipe_facts(cases, recipe))
    return Method(
        "voxelmorph",
        load,
        {"recipe": digest, "device": device},
        make_ready=make_ready,
        criterion=Criterion("voxelmorph", None),
    )


def voxelmorph_recipe(cases: Sequence[Case], steps: int | None) -> Recipe:
    """The recipe by which VoxelMorph-2 is trained on a cohort."""
    fitted = fit_preprocessing(cases_of_split(cases, "train"))
    network = VoxelMorphConfig.covering(fitted.shape)
    training = VOXELMORPH_TRAINING
    if steps is not None:
        training = replace(
            training, steps=steps, validate_every=min(steps, training.validate_every)
        )
    return Recipe(replace(fitted, shape=network.shape), network, training)

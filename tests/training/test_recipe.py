"""Settings of a training: ranges, rates, and the two named sets of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.training import CASCADE, CONFIG, PREPROCESSING
from voltween.errors import InputError
from voltween.networks import CascadeConfig
from voltween.training import (
    PUBLISHED_TRAINING,
    SHIPPED_LEARNING_RATE,
    VOXELMORPH_TRAINING,
    Augmentation,
    Objective,
    Recipe,
    TrainConfig,
)
from voltween.training.recipe import SHIPPED_TRAINING, learning_rate

RUNS = Path(__file__).parents[2] / "runs"


def test_learning_rate_is_halved_after_four_of_five_epochs():
    config = TrainConfig(steps=100, learning_rate=1e-4)
    assert learning_rate(1, config) == learning_rate(80, config) == 1e-4
    assert learning_rate(81, config) == learning_rate(100, config) == 0.5e-4


def test_the_rate_is_halved_every_epoch_after_those_at_full_rate():
    config = TrainConfig(
        steps=10, steps_per_epoch=2, full_rate_epochs=3, learning_rate=1.0
    )
    rates = [learning_rate(step, config) for step in range(1, 11)]
    assert rates == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_published_settings_are_those_of_the_paper():
    published = PUBLISHED_TRAINING
    assert (published.steps, published.pairs_per_step) == (100_000, 8)
    assert published.learning_rate == TrainConfig().learning_rate == 1e-4
    assert published.objective == TrainConfig().objective == Objective()
    assert (VOXELMORPH_TRAINING.steps, VOXELMORPH_TRAINING.pairs_per_step) == (5000, 4)
    assert VOXELMORPH_TRAINING.learning_rate == 1e-4


@pytest.mark.parametrize("name", ["hippocampus", "brain", "headneck"])
def test_shipped_models_begin_with_the_shipped_rate_and_similarity(name):
    text = (RUNS / f"{name}.sh").read_text("utf-8")
    assert f"--learning-rate {SHIPPED_LEARNING_RATE:.0e}".replace("e-0", "e-") in text
    assert f'--objective.last-similarity "{SHIPPED_TRAINING.objective.last_similarity}'
    assert (SHIPPED_LEARNING_RATE, SHIPPED_TRAINING.pairs_per_step) == (5e-4, 2)


def test_shipped_augmentation_is_that_of_the_hippocampus_model():
    text = " ".join((RUNS / "hippocampus.sh").read_text("utf-8").split())
    augmentation = SHIPPED_TRAINING.augmentation
    for name in ("displacement", "scaling", "translation", "gamma", "bias", "noise"):
        option = name.replace("_", "-")
        assert f"--augmentation.{option} {getattr(augmentation, name)} " in text
    assert augmentation.rotation_degrees == 15
    assert not Augmentation().rotation_degrees  # the default deforms alone


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"patience": 0}, "patience: expected at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate: expected above 0, got 0.0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch: expected at least 1, got 0"),
        ({"full_rate_epochs": -1}, "full_rate_epochs: expected at least 0, got -1"),
        ({"masked_share": 1.5}, "masked_share: expected 0 to 1, got 1.5"),
        (
            {"objective": Objective(end_point_error=1.0, invertibility=1.0)},
            "objective: expected an end_point_error or an invertibility term",
        ),
    ],
)
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        replace(CONFIG, **changes)


@pytest.mark.parametrize("teacher", ["hippocampus", "ANTs", "brain+slow", ""])
def test_other_teachers_are_refused(teacher):
    with pytest.raises(InputError, match='teacher: expected "ants", "ants-syn", or a '):
        replace(CONFIG, teacher=teacher)


def test_a_teacher_whose_flows_have_no_weight_is_refused():
    config = replace(CONFIG, teacher="hippocampus+fast")
    with pytest.raises(InputError, match="an end_point_error above 0 as the weight"):
        Recipe(PREPROCESSING, CASCADE, config)


def test_a_network_on_another_grid_than_the_scans_is_refused():
    with pytest.raises(InputError, match="expected that of the canonical grid"):
        Recipe(PREPROCESSING, CascadeConfig(shape=(16, 16, 32)), CONFIG)

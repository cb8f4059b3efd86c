"""A few steps tell the needs of a whole training."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import voltween.training.dry_run as module
from support.cohorts import write_cohort
from voltween import io
from voltween.cli import main
from voltween.cohorts import read_manifest
from voltween.errors import InputError, OutputError
from voltween.networks import CascadeConfig
from voltween.preprocessing import Preprocessing
from voltween.spatial import Grid, LabelMap
from voltween.training import (
    SYNTHESIS_TRAINING,
    Hardware,
    Recipe,
    TrainConfig,
    try_training,
)

RECIPE = Recipe(
    Preprocessing((16, 16, 16), (2.5, 2.5, 2.5)),
    CascadeConfig("AD", (16, 16, 16), 4),
    TrainConfig(steps=1000, validate_every=100, validation_pairs=2),
)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort"))


def test_it_says_what_training_needs_and_leaves_the_scans_alone(cohort, tmp_path):
    found = try_training(
        read_manifest(cohort), RECIPE, out=tmp_path, hardware=Hardware("cpu")
    )
    assert found.scans == 6
    assert found.disk_bytes == found.weights * 4 * 3 * 3  # 2 states kept, 1 being made
    assert 0 < found.memory_bytes < found.memory_available_bytes
    assert found.seconds > 0
    assert {"affine similarity", "dense 1 similarity"} <= found.losses.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert len(list((tmp_path / "cache").glob("*.json"))) == 6


def test_states_with_the_mean_of_the_weights_need_more_room(cohort, tmp_path):
    averaged = replace(RECIPE, training=replace(RECIPE.training, averaged_steps=10))
    found = try_training(
        read_manifest(cohort), averaged, out=tmp_path, hardware=Hardware("cpu")
    )
    assert found.disk_bytes == found.weights * 4 * 4 * 3


def test_time_grows_with_the_steps(cohort, tmp_path):
    cases = read_manifest(cohort)
    many = replace(RECIPE, training=replace(RECIPE.training, steps=100_000))
    short, long = (
        try_training(cases, recipe, out=tmp_path, hardware=Hardware("cpu"))
        for recipe in (RECIPE, many)
    )
    assert long.seconds > 10 * short.seconds


def test_inverted_scans_are_timed_with_those_as_they_are(cohort, tmp_path, monkeypatch):
    """Two pairs, each also inverted, take the four seconds of one validation."""
    clock = SimpleNamespace(seconds=0.0, perf_counter=lambda: clock.seconds)

    def validate(training, samples):
        clock.seconds += 4

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module.Training, "validate", validate)
    training = replace(SYNTHESIS_TRAINING, steps=1000, validate_every=100)
    recipe = replace(RECIPE, training=replace(training, validation_pairs=2))
    cases = read_manifest(cohort)
    found = try_training(cases, recipe, out=tmp_path, hardware=Hardware("cpu"))
    assert found.seconds == 4 * 10


def test_a_disk_that_is_too_small_is_refused(cohort, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BYTES_PER_WEIGHT", 10**12)
    with pytest.raises(OutputError, match=r"MB of free space to write it, got"):
        try_training(
            read_manifest(cohort), RECIPE, out=tmp_path, hardware=Hardware("cpu")
        )


def test_test_cases_are_read_too(tmp_path):
    manifest = write_cohort(tmp_path, test=2)
    cases = read_manifest(manifest)
    wrong = next(case for case in cases if case.split == "test")
    labels = io.read_labels(wrong.labels)
    elsewhere = np.eye(4)
    elsewhere[0, 3] = 500
    grid = Grid(labels.grid.shape, elsewhere @ labels.grid.affine)
    io.write(LabelMap(labels.data, grid), wrong.labels)
    with pytest.raises(InputError, match=r"voxels > 0 on the scan, got none"):
        try_training(cases, RECIPE, out=tmp_path, hardware=Hardware("cpu"))
    assert not (tmp_path / "cache").exists()


def test_dry_run_of_the_command_line(cohort, tmp_path, capsys):
    options = "--shape 16 16 16 --spacing-mm 2.5 2.5 2.5 --steps 50 --dry-run"
    main(["train", str(cohort), "--out", str(tmp_path / "run"), *options.split()])
    said = capsys.readouterr().out
    assert "memory" in said
    assert "6 scans can be used" in said
    assert not (tmp_path / "run" / "best.safetensors").exists()

"""A registration on disk: its files, and the content of registration.json."""

import json

import numpy as np
import pytest

from support.scans import FIXED, MOVING, TO_MOVING, label_blocks, smooth_field
from voltween import io
from voltween.registration import Registration, write_registration
from voltween.registration.result import TweeningStage

SECONDS = {"preparing": 0.25, "network": 1.5}


LABELS = label_blocks(FIXED.grid), label_blocks(MOVING.grid)


@pytest.fixture(scope="module", name="result")
def result_fixture():
    """A registration whose transform is known, and whose inverse was read before."""
    bent = TO_MOVING @ smooth_field(FIXED.grid)
    stages = (TweeningStage("affine", TO_MOVING), TweeningStage("dense 1", bent))
    result = Registration(FIXED, MOVING, "some", TO_MOVING, stages, dict(SECONDS))
    assert result.moving_to_fixed is not None
    return result


@pytest.fixture(scope="module", name="folder")
def folder_fixture(result, tmp_path_factory):
    """The folder of the registration."""
    folder = tmp_path_factory.mktemp("result")
    figures = write_registration(
        result, folder, fixed_labels=LABELS[0], moving_labels=LABELS[1]
    )
    assert figures["mean_dice"] == read_figures(folder)["mean_dice"]
    return folder


def read_figures(folder):
    return json.loads((folder / "registration.json").read_text())


def test_registration_json_has_the_quality_of_the_registration(result, folder):
    figures = read_figures(folder)
    assert list(figures) == [
        *("model", "refinement", "correlation", "folding_percent"),
        *("round_trip_error_mm", "dice", "mean_dice", "seconds", "versions"),
    ]
    assert figures["folding_percent"] == 0
    assert figures["round_trip_error_mm"]["median"] < 0.05
    per_label = result.dice(*LABELS)["dense 1"].values()
    assert figures["mean_dice"]["dense 1"] == pytest.approx(np.mean(list(per_label)))


def test_labels_are_moved_with_the_image(result, folder):
    moved = io.read_labels(folder / "moved_labels.nii.gz")
    expected = result.fixed_to_moving.resample(LABELS[1], onto=FIXED.grid)
    assert np.array_equal(moved.data, expected.data)


def test_times_of_the_images_are_measured_when_they_are_written(result, folder):
    seconds = read_figures(folder)["seconds"]
    names = ["preparing", "network", "resampling", "field", "inverse"]
    assert list(seconds) == names
    assert seconds.items() >= SECONDS.items()
    assert seconds["inverse"] < seconds["resampling"]  # the inverse was there already
    assert result.seconds == SECONDS

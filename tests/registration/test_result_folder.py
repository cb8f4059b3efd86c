"""A registration on disk: its files, and the content of registration.json."""

import json

import numpy as np
import pytest

from support.scans import FIXED, MOVING, TO_MOVING, label_blocks, smooth_field
from voltween import io
from voltween.registration import Registration, write_registration
from voltween.registration.result import TweeningStage

SECONDS = {"preparing": 0.25, "network": 1.5}


@pytest.fixture(name="result")
def result_fixture():
    """A registration whose transform is known."""
    bent = TO_MOVING @ smooth_field(FIXED.grid)
    stages = (TweeningStage("affine", TO_MOVING), TweeningStage("dense 1", bent))
    return Registration(FIXED, MOVING, "some", TO_MOVING, stages, SECONDS)


def test_registration_json_is_what_is_returned(result, tmp_path):
    labels = label_blocks(FIXED.grid), label_blocks(MOVING.grid)
    figures = write_registration(
        result, tmp_path, fixed_labels=labels[0], moving_labels=labels[1]
    )
    written = json.loads((tmp_path / "registration.json").read_text())
    assert list(written) == [
        *("model", "refinement", "correlation", "folding_percent"),
        *("round_trip_error_mm", "dice", "mean_dice", "seconds", "versions"),
    ]
    assert written["seconds"] == figures["seconds"]
    assert written["folding_percent"] == 0
    assert written["round_trip_error_mm"]["median"] < 0.05
    by_label = result.dice(*labels)["dense 1"].values()
    assert written["mean_dice"]["dense 1"] == pytest.approx(np.mean(list(by_label)))
    moved = io.read_labels(tmp_path / "moved_labels.nii.gz")
    expected = result.fixed_to_moving.resample(labels[1], onto=FIXED.grid)
    assert np.array_equal(moved.data, expected.data)


def test_times_of_the_images_are_those_of_writing_them(result, tmp_path):
    result.moving_to_fixed  # noqa: B018  computed before, so that writing takes none
    seconds = write_registration(result, tmp_path)["seconds"]
    names = ["preparing", "network", "resampling", "field", "inverse"]
    assert list(seconds) == names
    assert seconds.items() >= SECONDS.items()
    assert seconds["inverse"] < seconds["resampling"]
    assert result.seconds == SECONDS == {"preparing": 0.25, "network": 1.5}

"""A registration on disk: its files, and the content of registration.json."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from support.scans import FIXED, MOVING, TO_MOVING, label_blocks, smooth_field
from voltween import io
from voltween.errors import InputError, InverseWarning, OutputError
from voltween.registration import OUTPUTS, Origin, Registration, write_registration
from voltween.registration.outputs import FILES
from voltween.registration.result import TweeningStage
from voltween.registration.timing import Seconds
from voltween.spatial import Affine, DisplacementField

SECONDS = {"preparing": Seconds(0.25, 0.5), "network": Seconds(1.5, 2.75)}
STEPS = [output for name, output in OUTPUTS.items() if name != "jacobian"]


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


def test_registration_json_has_figures_first_and_the_long_lists_last(result, folder):
    figures = read_figures(folder)
    assert list(figures) == [
        *("verdict", "correlation", "mean_dice", "folding_percent"),
        *("round_trip_error_mm", "warnings", "model", "model_reason", "model_sha256"),
        *("refinement", "inputs", "command", "date", "outputs", "seconds"),
        *("versions", "dice"),
    ]
    assert figures["verdict"] == json.loads(json.dumps(asdict(result.verdict)))
    assert figures["folding_percent"] == 0
    assert figures["round_trip_error_mm"] == result.round_trip_error_mm
    assert figures["round_trip_error_mm"]["median"] < 0.05
    per_label = result.dice(*LABELS)["dense 1"].values()
    assert figures["mean_dice"]["dense 1"] == pytest.approx(np.mean(list(per_label)))


def test_structures_and_warnings_are_said_where_they_are_known(result, tmp_path):
    origin = Origin(structures={1: "brainstem", 7: "eye"}, warnings=["look here"])
    figures = write_registration(
        result,
        tmp_path,
        outputs=[],
        fixed_labels=LABELS[0],
        moving_labels=LABELS[1],
        origin=origin,
    )
    assert set(figures["dice"]["before"]) == {"brainstem", "2", "eye", "40"}
    assert figures["warnings"] == ["look here"]


def test_a_warning_of_the_inverse_is_written_without_a_command_too(tmp_path):
    bad = TweeningStage("affine", TO_MOVING, Affine.identity())
    result = Registration(FIXED, MOVING, "some", TO_MOVING, (bad,), {})
    with pytest.warns(InverseWarning) as caught:
        figures = write_registration(result, tmp_path, outputs=["inverse"])
    assert figures["warnings"] == [str(caught[0].message)]


@pytest.mark.parametrize("name", OUTPUTS)
def test_only_what_is_wanted_is_written(name, result, tmp_path):
    write_registration(result, tmp_path, outputs=[name], moving_labels=LABELS[1])
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"registration.json", OUTPUTS[name].file}
    assert read_figures(tmp_path)["outputs"] == [OUTPUTS[name].file]


def test_an_inverse_that_is_not_wanted_is_not_computed(tmp_path, monkeypatch):
    def fail(transform):
        raise AssertionError("the inverse was computed")

    monkeypatch.setattr(DisplacementField, "inverse", fail)
    bent = TweeningStage("dense 1", TO_MOVING @ smooth_field(FIXED.grid))
    result = Registration(FIXED, MOVING, "some", TO_MOVING, (bent,), {})
    wanted = ["moved", "transform", "field", "overview"]
    figures = write_registration(result, tmp_path, outputs=wanted)
    assert figures["round_trip_error_mm"] is None
    assert "inverse" not in figures["seconds"]["wall"]
    with pytest.raises(AssertionError, match="was computed"):
        write_registration(result, tmp_path / "all")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["moved", "everything"], "names of moved, labels, .*, got everything"),
        (["labels"], "output labels: expected a moving label map"),
    ],
)
def test_outputs_that_cannot_be_are_refused(wanted, message, result, tmp_path):
    with pytest.raises(InputError, match=message):
        write_registration(result, tmp_path, outputs=wanted)
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_an_earlier_result_stays_beside_a_new_one(result, tmp_path):
    write_registration(result, tmp_path, moving_labels=LABELS[1])
    assert {path.name for path in tmp_path.iterdir()} == FILES - {"jacobian.nii.gz"}
    (tmp_path / "notes.txt").write_text("mine")
    write_registration(result, tmp_path, outputs=["transform"])
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"registration.json", "fixed_to_moving.h5", "notes.txt"}


def test_a_folder_with_such_files_that_is_no_result_is_refused(result, tmp_path):
    (tmp_path / "moved.nii.gz").write_text("mine")
    with pytest.raises(
        OutputError, match=r"earlier result, which has registration.json"
    ):
        write_registration(result, tmp_path)
    assert (tmp_path / "moved.nii.gz").read_text() == "mine"


def test_labels_are_moved_with_the_image(result, folder):
    moved = io.read_labels(folder / "moved_labels.nii.gz")
    expected = result.fixed_to_moving.resample(LABELS[1], onto=FIXED.grid)
    assert np.array_equal(moved.data, expected.data)


def test_times_of_the_images_are_measured_when_they_are_written(result, folder):
    seconds = read_figures(folder)["seconds"]
    assert list(seconds) == ["wall", "processor"]
    for clock, of_registration in zip(
        seconds, zip(*SECONDS.values(), strict=True), strict=True
    ):
        named = seconds[clock]
        assert list(named) == ["preparing", "network", *(o.step for o in STEPS)]
        assert (named["preparing"], named["network"]) == of_registration
        assert all(value >= 0 for value in named.values())
    assert result.seconds == SECONDS

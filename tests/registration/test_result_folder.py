"""A registration on disk: its files, and the content of registration.json."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from support.scans import FIXED, MOVING, TO_MOVING, label_blocks, smooth_field
from voltween import io
from voltween.errors import (
    InputError,
    InverseWarning,
    OutputError,
    SuspiciousInputWarning,
)
from voltween.registration import (
    OUTPUTS,
    Carried,
    Origin,
    Registration,
    write_registration,
)
from voltween.registration.outputs import FILES
from voltween.registration.result import TweeningStage
from voltween.registration.timing import Seconds
from voltween.spatial import Affine, DisplacementField, Grid, Image, LabelMap, Points

SECONDS = {"preparing": Seconds(0.25, 0.5), "network": Seconds(1.5, 2.75)}
WITH_NEEDS = [name for name, output in OUTPUTS.items() if output.needs]
ON_REQUEST = {"field", "jacobian"}
STEPS = [output for name, output in OUTPUTS.items() if name not in ON_REQUEST]


LABELS = label_blocks(FIXED.grid), label_blocks(MOVING.grid)
POINTS = tuple(
    Points(scan.grid.center_mm[None], ("middle",)) for scan in (FIXED, MOVING)
)


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
    figures = write_registration(result, folder, carried=Carried(*LABELS, *POINTS))
    assert figures["mean_dice"] == read_figures(folder)["mean_dice"]
    return folder


def read_figures(folder):
    return json.loads((folder / "registration.json").read_text("utf-8"))


def test_registration_json_has_figures_first_and_the_long_lists_last(result, folder):
    figures = read_figures(folder)
    assert list(figures) == [
        *("verdict", "correlation", "mean_dice", "landmark_error_mm"),
        "folding_percent",
        *("round_trip_error_mm", "warnings", "model", "model_reason", "model_sha256"),
        *(
            "refinement",
            "features",
            "cut",
            "inputs",
            "command",
            "date",
            "outputs",
            "seconds",
        ),
        *("versions", "dice"),
    ]
    assert figures["verdict"] == json.loads(json.dumps(asdict(result.verdict)))
    assert figures["folding_percent"] == 0
    assert figures["round_trip_error_mm"] == result.round_trip_error_mm
    assert figures["round_trip_error_mm"]["median"] < 0.05
    per_label = result.dice(*LABELS)["dense 1"].values()
    assert figures["mean_dice"]["dense 1"] == pytest.approx(np.mean(list(per_label)))


def test_files_without_a_landmark_have_no_distance(result, tmp_path):
    none = Points(np.zeros((0, 3)))
    carried = Carried(fixed_points=none, moving_points=none)
    write_registration(result, tmp_path, outputs=[], carried=carried)
    text = (tmp_path / "registration.json").read_text("utf-8")
    assert "NaN" not in text
    assert "landmark_error_mm" not in json.loads(text)


def test_the_distance_of_landmarks_is_that_of_every_stage(result, folder):
    distances = read_figures(folder)["landmark_error_mm"]
    assert [*distances] == [*result.tweening]
    fixed, moving = POINTS
    for stage, transform in result.tweening.items():
        offset = transform.map_positions(fixed.mm) - moving.mm
        assert distances[stage] == pytest.approx(np.linalg.norm(offset))


def test_points_that_do_not_correspond_have_no_distance(result, tmp_path):
    two = Points(np.zeros((2, 3)))
    carried = Carried(fixed_points=POINTS[0], moving_points=two)
    with pytest.warns(SuspiciousInputWarning, match="got 1 fixed and 2 moving"):
        figures = write_registration(
            result, tmp_path, outputs=["carried-points"], carried=carried
        )
    assert "landmark_error_mm" not in figures
    assert len(figures["warnings"]) == 1


def test_structures_and_warnings_are_said_where_they_are_known(result, tmp_path):
    origin = Origin(structures={1: "brainstem", 7: "eye"}, warnings=["look here"])
    figures = write_registration(
        result,
        tmp_path,
        outputs=[],
        carried=Carried(*LABELS),
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
    write_registration(
        result, tmp_path, outputs=[name], carried=Carried(*LABELS, *POINTS)
    )
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {"registration.json", OUTPUTS[name].file}
    assert read_figures(tmp_path)["outputs"] == [OUTPUTS[name].file]


def test_an_inverse_that_is_not_wanted_is_not_computed(tmp_path, monkeypatch):
    def fail(transform):
        raise AssertionError("the inverse was computed")

    monkeypatch.setattr(DisplacementField, "inverse_with_residuals", fail)
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
        (["labels"], "output labels: expected moving labels"),
        (["carried-points"], "output carried-points: expected fixed points"),
    ],
)
def test_outputs_that_cannot_be_are_refused(wanted, message, result, tmp_path):
    with pytest.raises(InputError, match=message):
        write_registration(result, tmp_path, outputs=wanted)
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_an_earlier_result_stays_beside_a_new_one(result, tmp_path):
    write_registration(result, tmp_path, carried=Carried(*LABELS, *POINTS))
    on_request = {OUTPUTS[name].file for name in ON_REQUEST}
    assert {path.name for path in tmp_path.iterdir()} == FILES - on_request
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
    assert (tmp_path / "moved.nii.gz").read_text("utf-8") == "mine"


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


def test_labels_and_points_are_carried_in_the_right_direction(tmp_path):
    """The moving scan is the fixed scan 3 mm further to the right."""
    shift = np.eye(4)
    shift[0, 3] = 3.0
    moved_grid = Grid(FIXED.grid.shape, shift @ FIXED.grid.affine)
    moving = Image(FIXED.data, moved_grid)
    stages = (TweeningStage("affine", Affine(shift)),)
    result = Registration(FIXED, moving, "some", Affine.identity(), stages, {})
    fixed_labels = label_blocks(FIXED.grid)
    point = Points(FIXED.grid.center_mm[None], ("middle",))
    carried = Carried(
        fixed_labels, LabelMap(fixed_labels.data, moved_grid), point, point
    )
    write_registration(result, tmp_path, outputs=WITH_NEEDS, carried=carried)
    labels = io.read_labels(tmp_path / "carried_labels.nii.gz")
    assert labels.grid.is_close(moved_grid)
    assert np.array_equal(labels.data, fixed_labels.data)
    carried_points = io.read_points(tmp_path / "carried_points.csv")
    assert carried_points.names == ("middle",)
    np.testing.assert_allclose(carried_points.mm - point.mm, [[3, 0, 0]], atol=1e-6)
    moved_points = io.read_points(tmp_path / "moved_points.csv")
    np.testing.assert_allclose(moved_points.mm - point.mm, [[-3, 0, 0]], atol=1e-6)
    moved = io.read_labels(tmp_path / "moved_labels.nii.gz")
    assert np.array_equal(moved.data, fixed_labels.data)

"""The result of a registration: its figures, its inverse, and removal of folds."""

import re
import warnings
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture

from support.scans import (
    FIXED,
    MOVING,
    TO_MOVING,
    label_blocks,
    oblique_grid,
    random_points_mm,
    smooth_field,
)
from voltween.errors import (
    FoldingWarning,
    InputError,
    InverseWarning,
    SuspiciousInputWarning,
)
from voltween.preprocessing import find_foreground
from voltween.registration import Registration
from voltween.registration import result as module
from voltween.registration.result import TweeningStage
from voltween.registration.round_trip import round_trip_errors_mm
from voltween.registration.timing import Seconds
from voltween.spatial import Affine, DisplacementField, Grid, Image, LabelMap
from voltween.spatial.unfolding import Unfolded


def registered(transform, moving_to_fixed=None):
    """A registration with the given transform after its last stage."""
    stages = (
        TweeningStage("affine", TO_MOVING),
        TweeningStage("dense 1", transform, moving_to_fixed),
    )
    seconds = {"network": Seconds(1.5, 2.5)}
    return Registration(FIXED, MOVING, "some", TO_MOVING, stages, seconds)


def folded(grid=FIXED.grid, depth=3.5):
    """A field that turns back on itself in the middle of a grid."""
    flow = np.zeros((3, *grid.shape))
    offset = np.indices(grid.shape) - (np.array(grid.shape) / 2)[:, None, None, None]
    flow[0] = -depth * offset[0] * np.exp(-(offset**2).sum(axis=0) / 8)
    return TO_MOVING @ DisplacementField.from_flow(flow, grid)


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_reading_a_result_changes_nothing_in_it():
    result = registered(folded())
    before = dict(vars(result)) | {"seconds": dict(result.seconds)}
    assert result.moved.grid is FIXED.grid
    assert result.field.grid is FIXED.grid
    assert result.correlation["after"] < 1
    assert result.moving_to_fixed is not None
    assert before.items() <= vars(result).items()
    assert result.moved is result.moved  # computed once


def test_a_notebook_shows_the_scans_and_what_was_measured():
    result = registered(TO_MOVING)
    html = result._repr_html_()
    assert html.count("data:image/png;base64,") == 1
    assert "verdict" not in html
    assert "correlation" not in html
    assert not {"verdict", "correlation", "moved"} & set(vars(result))  # takes seconds
    grade, correlation = result.verdict.grade, result.correlation
    html = result._repr_html_()
    assert f"verdict: {grade}" in html
    assert f"{correlation['after']:.3f} after" in html


def test_a_result_says_in_short_what_it_is():
    result = registered(TO_MOVING)
    stages = "stages before, affine, dense 1"
    assert repr(result) == f"<Registration by model some, {stages}>"
    grade = result.verdict.grade
    assert repr(result) == f"<Registration by model some, {grade}, {stages}>"


def test_a_result_shows_the_picture_that_a_notebook_shows(monkeypatch):
    result, seen = registered(TO_MOVING), []
    monkeypatch.setattr("PIL.ImageShow.show", lambda picture: seen.append(picture) or 1)
    result.show()
    with Picture.open(BytesIO(result._repr_png_())) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(seen[0]))


def test_the_mean_dice_is_that_of_the_shared_labels():
    labels = [label_blocks(scan.grid) for scan in (FIXED, MOVING)]
    result = registered(TO_MOVING)
    dice = result.dice(*labels)
    assert result.mean_dice(*labels) == {
        stage: pytest.approx(sum(per_label.values()) / len(per_label))
        for stage, per_label in dice.items()
    }


def test_dice_is_given_for_shared_labels_at_every_stage():
    fixed, moving = label_blocks(FIXED.grid), label_blocks(MOVING.grid)
    without = LabelMap(np.where(moving.data == 7, 0, moving.data), moving.grid)
    dice = registered(TO_MOVING).dice(fixed, without)
    assert list(dice) == ["before", "affine", "dense 1"]
    assert all(list(per_label) == [1, 2, 40] for per_label in dice.values())
    assert 0 < dice["before"][1] < 1


def test_labels_off_their_scan_are_refused_and_those_that_never_meet_are_told():
    fixed, moving = label_blocks(FIXED.grid), label_blocks(MOVING.grid)
    with pytest.raises(InputError, match="fixed labels: expected voxels > 0 on"):
        registered(TO_MOVING).dice(moving, moving)
    one, two = (np.zeros_like(labels.data) for labels in (fixed, moving))
    one[2:5, 2:5, 2:5], two[-5:-2, -5:-2, -5:-2] = 1, 1
    maps = LabelMap(one, FIXED.grid), LabelMap(two, MOVING.grid)
    with pytest.warns(SuspiciousInputWarning, match="all Dice are 0"):
        assert registered(TO_MOVING).dice(*maps)["dense 1"] == {1: 0}


def test_the_round_trip_is_the_error_at_every_voxel_of_the_foreground():
    bent = TO_MOVING @ smooth_field(FIXED.grid)
    back = Affine(TO_MOVING.inverse().matrix)
    result = registered(bent, moving_to_fixed=back)
    is_inside = FIXED.data > find_foreground(FIXED).threshold
    voxels_mm = FIXED.grid.voxel_centers_mm()[is_inside]
    assert 0 < len(voxels_mm) < FIXED.data.size
    returned_mm = back.map_positions(bent.map_positions(voxels_mm))
    errors_mm = np.linalg.norm(returned_mm - voxels_mm, axis=1)
    assert result.round_trip_error_mm == pytest.approx(
        {
            "median": np.median(errors_mm),
            "percentile_95": np.percentile(errors_mm, 95),
            "largest": errors_mm.max(),
        },
        abs=1e-4,
    )


def test_a_warning_says_where_the_inverse_is_wrong_and_how_much_of_the_scan_that_is():
    center_mm = FIXED.grid.voxel_to_world(np.array([8.0, 9.0, 10.0]))
    voxels_mm = FIXED.grid.voxel_centers_mm()
    is_near = np.linalg.norm(voxels_mm - center_mm, axis=-1) < 7.0
    vectors_mm = np.where(is_near[..., None], [0.0, 3.0, 0.0], 0.0)
    wrong = DisplacementField(FIXED.grid, vectors_mm) @ TO_MOVING.inverse()
    bright = Image(np.full(FIXED.grid.shape, 5.0), FIXED.grid)
    result = replace(registered(TO_MOVING, moving_to_fixed=wrong), fixed=bright)
    limit_mm = result.acceptable_round_trip_mm
    errors_mm = round_trip_errors_mm(bright, TO_MOVING, wrong)
    share = (errors_mm > limit_mm).mean()
    assert 0.05 < share < 0.5
    with pytest.warns(InverseWarning) as caught:
        assert result.moving_to_fixed is not None
    (text,) = [str(warning.message) for warning in caught]
    assert f"in {100 * share:.2g} % of the fixed scan's foreground" in text
    assert f"at most {errors_mm.max():.3g} mm" in text
    place = re.search(r"\(R, A, S\) = \((.+?), (.+?), (.+?)\) mm", text)
    assert place is not None
    offset_mm = np.array(place.groups(), float) - center_mm
    assert np.linalg.norm(offset_mm) < 2.0


def test_folds_in_a_few_voxels_need_no_warning():
    vectors_mm = np.zeros((*FIXED.grid.shape, 3))
    vectors_mm[4, 5, 6] = 12.0
    result = registered(TO_MOVING @ DisplacementField(FIXED.grid, vectors_mm))
    assert result.folding_percent > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert result.moving_to_fixed is not None
    assert result.round_trip_error_mm["largest"] > result.acceptable_round_trip_mm


def test_an_accurate_inverse_gets_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = registered(TO_MOVING @ smooth_field(FIXED.grid))
        assert result.moving_to_fixed is not None
    assert result.round_trip_error_mm["largest"] < 0.5


def test_dice_without_shared_labels_is_refused():
    other = LabelMap(np.full(MOVING.grid.shape, 99), MOVING.grid)
    with pytest.raises(InputError, match="label"):
        registered(TO_MOVING).dice(label_blocks(FIXED.grid), other)


def test_a_registration_without_folds_is_returned_itself():
    result = registered(TO_MOVING)
    assert result.without_folding() is result


def test_folding_is_measured_on_the_fixed_images_own_grid():
    far = Grid(FIXED.grid.shape, TO_MOVING.matrix @ FIXED.grid.affine)
    elsewhere = far.pad(3)
    assert registered(folded(elsewhere)).folding_percent == 0
    result = registered(folded())
    determinants = result.fixed_to_moving.to_field(FIXED.grid).jacobian_determinant()
    assert determinants.shape == FIXED.grid.shape
    assert result.folding_percent == 100 * (determinants <= 0).mean() > 0


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_folds_are_removed_and_all_else_stays():
    result = registered(folded(), moving_to_fixed=Affine.identity())
    before_mm = result.moving_to_fixed.map_positions(random_points_mm(MOVING.grid))
    straight = result.without_folding()
    assert straight.folding_percent == 0
    assert result.folding_percent > 0
    assert [stage.name for stage in straight.stages] == ["affine", "dense 1"]
    assert straight.stages[0] is result.stages[0]
    assert list(straight.seconds) == ["network", "unfolding"]
    assert straight.seconds["network"] == (1.5, 2.5)
    assert result.seconds == {"network": (1.5, 2.5)}
    # The inverse is that of the transform without folds, not the one that was given.
    points = random_points_mm(FIXED.grid)
    moved = straight.fixed_to_moving.map_positions(points)
    again = straight.moving_to_fixed.map_positions(moved)
    assert np.median(np.linalg.norm(again - points, axis=1)) < 0.1
    after_mm = straight.moving_to_fixed.map_positions(random_points_mm(MOVING.grid))
    assert np.linalg.norm(after_mm - before_mm, axis=1).mean() > 1


def test_folds_on_the_fixed_grid_go_if_the_field_is_coarser():
    coarse = oblique_grid((9, 8, 7), seed=1, spacing_mm=(2.2, 3.4, 4.6))
    result = registered(folded(coarse, depth=2.5))
    assert result.folding_percent > 0
    assert result.without_folding().folding_percent == 0


def test_a_mirror_folds_everywhere_and_a_warning_says_so():
    mirror = TO_MOVING @ Affine(np.diag([-1.0, 1, 1, 1]))
    with pytest.warns(
        FoldingWarning, match="100 % of the fixed image's voxels still fold"
    ):
        left = registered(mirror).without_folding()
    assert left.folding_percent == 100


def test_a_warning_states_the_folds_that_stay(monkeypatch):
    stubborn = folded()
    monkeypatch.setattr(
        module, "remove_folds", lambda *_, onto: Unfolded(stubborn, 0.25)
    )
    with pytest.warns(FoldingWarning, match=r"0\.25 % of the fixed image's voxels"):
        result = registered(folded()).without_folding()
    assert result.fixed_to_moving is stubborn

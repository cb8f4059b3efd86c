"""What is asked of two registered scans, above all of a transform that folds."""

import numpy as np
import pytest

from support.scans import FIXED, MOVING, TO_MOVING, oblique_grid, random_points_mm
from voltween.errors import FoldingWarning
from voltween.registration import Registration
from voltween.registration import result as module
from voltween.registration.result import TweeningStage
from voltween.spatial import Affine, DisplacementField, Grid
from voltween.spatial.unfolding import Unfolded


def registered(transform, moving_to_fixed=None):
    """A registration whose last transform is given."""
    stages = (
        TweeningStage("affine", TO_MOVING),
        TweeningStage("dense 1", transform, moving_to_fixed),
    )
    seconds = {"network": 1.5}
    return Registration(FIXED, MOVING, "some", TO_MOVING, stages, seconds)


def folded(grid=FIXED.grid, depth=3.5):
    """A field that turns back on itself in the middle of a grid."""
    flow = np.zeros((3, *grid.shape))
    offset = np.indices(grid.shape) - (np.array(grid.shape) / 2)[:, None, None, None]
    flow[0] = -depth * offset[0] * np.exp(-(offset**2).sum(axis=0) / 8)
    return TO_MOVING @ DisplacementField.from_flow(flow, grid)


def test_what_does_not_fold_is_given_back_itself():
    found = registered(TO_MOVING)
    assert found.without_folding() is found


def test_folding_is_measured_on_the_fixed_images_own_grid():
    far = Grid(FIXED.grid.shape, TO_MOVING.matrix @ FIXED.grid.affine)
    elsewhere = far.pad(3)
    assert registered(folded(elsewhere)).folding_percent == 0
    found = registered(folded())
    determinants = found.fixed_to_moving.to_field(FIXED.grid).jacobian_determinant()
    assert determinants.shape == FIXED.grid.shape
    assert found.folding_percent == 100 * (determinants <= 0).mean() > 0


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_folds_are_taken_out_and_all_else_stays():
    found = registered(folded(), moving_to_fixed=Affine.identity())
    before_mm = found.moving_to_fixed.map_positions(random_points_mm(MOVING.grid))
    straight = found.without_folding()
    assert straight.folding_percent == 0
    assert found.folding_percent > 0
    assert [stage.name for stage in straight.stages] == ["affine", "dense 1"]
    assert straight.stages[0] is found.stages[0]
    assert {"network", "unfolding"} <= set(straight.seconds)
    assert straight.seconds["network"] == 1.5
    assert "unfolding" not in found.seconds
    # The way back is that of the transform without folds, not the one that came.
    points = random_points_mm(FIXED.grid)
    there = straight.fixed_to_moving.map_positions(points)
    back = straight.moving_to_fixed.map_positions(there)
    assert np.median(np.linalg.norm(back - points, axis=1)) < 0.1
    after_mm = straight.moving_to_fixed.map_positions(random_points_mm(MOVING.grid))
    assert np.linalg.norm(after_mm - before_mm, axis=1).mean() > 1


def test_folds_on_the_fixed_grid_go_where_the_field_is_coarser():
    coarse = oblique_grid((9, 8, 7), seed=1, spacing_mm=(2.2, 3.4, 4.6))
    found = registered(folded(coarse, depth=2.5))
    assert found.folding_percent > 0
    assert found.without_folding().folding_percent == 0


def test_a_mirror_folds_everywhere_and_it_says_so():
    mirror = TO_MOVING @ Affine(np.diag([-1.0, 1, 1, 1]))
    with pytest.warns(FoldingWarning, match="100 % of the fixed image's voxels fold"):
        left = registered(mirror).without_folding()
    assert left.folding_percent == 100


def test_folds_that_stay_are_told(monkeypatch):
    stubborn = folded()
    monkeypatch.setattr(module, "unfolded", lambda *_, onto: Unfolded(stubborn, 0.25))
    with pytest.warns(FoldingWarning, match=r"0\.25 % of the fixed image's voxels"):
        left = registered(folded()).without_folding()
    assert left.fixed_to_moving is stubborn

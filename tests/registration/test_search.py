"""The search among candidates: no harm, any pose, no bent answer without need."""

from dataclasses import replace

import numpy as np
import pytest

from support.scans import tiny_model
from support.textured import GRID, head, shift
from voltween.errors import RejectionWarning
from voltween.refinement import ACCURATE_ALONE, FAST, FAST_ALONE
from voltween.registration import Guidance, register
from voltween.spatial import Affine, DisplacementField, Grid, Image


@pytest.fixture(scope="module", name="scan")
def scan_fixture():
    return head()


@pytest.fixture(scope="module", name="model")
def model_fixture():
    """An untrained network, whose answers are wrong."""
    return tiny_model()


def misses_mm(transform, truth, scan):
    points = scan.grid.voxel_to_world(np.argwhere(scan.data > 300)[::50].astype(float))
    apart = transform.map_positions(points) - truth.map_positions(points)
    return np.linalg.norm(apart, axis=1)


WAYS = [
    ("model", None),
    ("model", FAST),
    (None, FAST_ALONE),
    (None, ACCURATE_ALONE),
]


@pytest.mark.parametrize(("with_model", "refinement"), WAYS)
def test_identical_scans_stay_where_they_are(scan, model, with_model, refinement):
    network = model if with_model else None
    result = register(scan, scan, model=network, refinement=refinement)
    assert misses_mm(result.fixed_to_moving, Affine.identity(), scan).max() < 0.05
    assert result.verdict.grade == "good"


@pytest.mark.parametrize(("with_model", "refinement"), WAYS)
def test_a_small_shift_is_found_and_nothing_is_bent(
    scan, model, with_model, refinement
):
    truth = shift([1.0, 0, 0])
    moving = truth.inverse().resample(scan, onto=GRID)
    network = model if with_model else None
    result = register(scan, moving, model=network, refinement=refinement)
    assert misses_mm(result.fixed_to_moving, truth, scan).mean() < 0.2


def test_a_change_in_one_place_bends_scans_that_agree_elsewhere(scan):
    voxels = np.indices(GRID.shape, dtype=float).reshape(3, -1).T
    middle = scan.grid.center_mm
    offsets = scan.grid.voxel_to_world(voxels) - middle
    near = np.exp(-(offsets**2).sum(axis=1) / (2 * 7.0**2))
    vectors_mm = np.zeros((*GRID.shape, 3))
    vectors_mm[..., 0] = 4 * near.reshape(GRID.shape)
    truth = DisplacementField(GRID, vectors_mm)
    moving = truth.inverse().resample(scan, onto=GRID)
    result = register(scan, moving, model=None, refinement=ACCURATE_ALONE)
    end = middle + np.array([4.0, 0, 0])
    off = result.fixed_to_moving.map_positions(middle[None]) - end
    assert np.linalg.norm(off) < 2


def test_a_wrong_network_does_no_harm_to_scans_of_one_subject(scan, model):
    """Brighter, noisier, cropped and on other voxels."""
    rng = np.random.default_rng(3)
    truth = shift([2.0, -1, 1])
    affine = np.diag([2.4, 2.4, 2.4, 1])
    affine[:3, 3] = GRID.affine[:3, 3] + 3
    other = truth.inverse().resample(scan, onto=Grid((27, 30, 24), affine))
    data = 1.7 * other.data + 50 + rng.normal(0, 20, other.data.shape)
    moving = Image(data.astype(np.float32), other.grid)
    result = register(scan, moving, model=model, refinement=None)
    after = misses_mm(result.fixed_to_moving, truth, scan).mean()
    before = misses_mm(Affine.identity(), truth, scan).mean()
    assert after < 0.5 < before


@pytest.mark.parametrize(("with_model", "refinement"), WAYS)
def test_a_turned_head_is_found(scan, model, with_model, refinement):
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [0, 0, 1], [-1, 0, 0]]
    turn[:3, 3] = [300, -20, 40]
    moving = Image(scan.data, Grid(GRID.shape, turn @ GRID.affine))
    network = model if with_model else None
    result = register(scan, moving, model=network, refinement=refinement)
    assert misses_mm(result.fixed_to_moving, Affine(turn), scan).mean() < 1
    assert "pose" in result.tweening


def test_an_initial_transform_is_where_the_search_starts(scan):
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [0, 0, 1], [-1, 0, 0]]
    moving = Image(scan.data, Grid(GRID.shape, turn @ GRID.affine))
    near = shift([2.0, 1, 0]) @ Affine(turn)
    result = register(
        scan,
        moving,
        model=None,
        refinement=FAST_ALONE,
        guidance=Guidance(initial=near),
    )
    assert misses_mm(result.fixed_to_moving, Affine(turn), scan).mean() < 0.2
    assert result.tweening["before"] is near


def test_nothing_is_taken_that_makes_the_scans_less_alike(scan, model):
    """Unrelated scans: whatever is answered, it is called failed or doubtful."""
    result = register(scan, head(seed=1), model=model, refinement=None)
    evidence = result.verdict.evidence
    assert evidence.similarity >= evidence.similarity_before
    assert result.verdict.grade != "good"
    assert result.verdict.reasons


def test_a_refinement_that_makes_the_scans_less_alike_is_left_out_and_told(scan):
    def apart(fixed, moved):
        return (fixed * moved).mean()

    moving = Image(np.roll(scan.data, 1, axis=0), scan.grid)
    refinement = replace(FAST_ALONE, similarity=apart)
    with pytest.warns(RejectionWarning, match="apart is left out: by the local corr"):
        result = register(scan, moving, model=None, refinement=refinement)
    assert "refined" not in [stage.name for stage in result.stages]

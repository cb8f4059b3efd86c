"""Registrations of scans in scanner space that a refinement made, or made better."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    smooth_field,
    smooth_image,
    stored,
    tiny_model,
)
from voltween import registration
from voltween.errors import FoldingWarning, InputError
from voltween.guidance import Guidance
from voltween.refinement import ACCURATE, FAST, FAST_ALONE, Level, Refinement
from voltween.register import register
from voltween.transform import DisplacementField
from voltween.unfolding import Unfolded
from voltween.volume import Image, LabelMap, Points

GRID = oblique_grid((28, 24, 26), spacing_mm=(2.0, 2.2, 1.8))
FIXED = smooth_image(GRID, sigma=2.0)
TRUTH = smooth_field(GRID, seed=3, largest_voxels=3.0, sigma=6.0)
# fixed(x) = moving(x + u(x)): the moving scan is what TRUTH carries onto the fixed one.
MOVING, FIXED = FIXED, TRUTH.resample(FIXED, onto=GRID)
STILL = Refinement((Level(2, 1, 1e-6),))


def points_mm(count=40):
    """Places well inside the fixed scan."""
    shares = np.random.default_rng(0).uniform(0.25, 0.75, (count, 3))
    return GRID.voxel_to_world(shares * (np.array(GRID.shape) - 1))


def error_mm(transform):
    """Mean distance from where the truth leads."""
    positions = points_mm()
    wrong = transform.map_positions(positions) - TRUTH.map_positions(positions)
    return float(np.linalg.norm(wrong, axis=1).mean())


@pytest.fixture(scope="module", name="alone")
def alone_fixture():
    return register(FIXED, MOVING, model=None, refinement=FAST_ALONE)


def test_a_known_transform_is_found_without_a_model(alone):
    assert list(alone.tweening) == ["before", "affine", "refined"]
    assert alone.model_name == "none"
    assert error_mm(alone.fixed_to_moving) < 0.5 * error_mm(alone.before)
    assert alone.correlation["after"] > 0.95


@pytest.mark.parametrize("order", STORAGE_ORDERS[5::20])
def test_the_storage_order_does_not_matter(alone, order):
    other = register(
        stored(FIXED, order), stored(MOVING, order), model=None, refinement=FAST_ALONE
    )
    np.testing.assert_allclose(
        other.fixed_to_moving.map_positions(points_mm()),
        alone.fixed_to_moving.map_positions(points_mm()),
        atol=0.1,
    )


@pytest.mark.parametrize("spacing_mm", [None, "own", 1.2])
def test_other_voxels_begin_at_the_networks_answer(spacing_mm):
    refinement = replace(STILL, spacing_mm=spacing_mm)
    found = register(
        FIXED, MOVING, model=tiny_model(strength=0.1), refinement=refinement
    )
    *_, network, refined = found.tweening.values()
    apart = refined.map_positions(points_mm()) - network.map_positions(points_mm())
    assert np.linalg.norm(apart, axis=1).mean() < 0.2


def test_landmarks_pull_the_right_way_in_scanner_space():
    order = STORAGE_ORDERS[13]
    landmarks = Points(points_mm(6))
    known = Guidance(fixed_points=landmarks, moving_points=TRUTH.map_points(landmarks))
    flat = Image(np.full(GRID.shape, 5.0) + np.arange(26) * 1e-3, GRID)
    refinement = Refinement((Level(4, 40, 0.3),), landmarks=1.0, tolerance=0.0)
    found = register(
        stored(flat, order),
        flat,
        model=None,
        refinement=refinement,
        guidance=known,
    )
    distances = [
        np.linalg.norm(
            transform.map_points(landmarks).mm - TRUTH.map_points(landmarks).mm, axis=1
        ).mean()
        for transform in (found.before, found.fixed_to_moving)
    ]
    assert distances[1] < 0.4 * distances[0]


def test_what_a_mask_leaves_out_does_not_count():
    lesion = FIXED.data.copy()
    lesion[8:16, 8:16, 8:16] = lesion.max()
    counts = np.ones(GRID.shape, np.uint8)
    counts[6:18, 6:18, 6:18] = 0
    known = Guidance(fixed_mask=LabelMap(counts, GRID))
    refinement = replace(ACCURATE, levels=ACCURATE.levels[:1])
    model = tiny_model(strength=0.1)
    masked, plain = (
        register(
            Image(lesion, GRID),
            MOVING,
            model=model,
            refinement=refinement,
            guidance=guidance,
        )
        for guidance in (known, None)
    )
    assert error_mm(masked.fixed_to_moving) < error_mm(plain.fixed_to_moving)


def test_a_mask_of_another_place_is_refused():
    elsewhere = oblique_grid((8, 8, 8), seed=7)
    mask = LabelMap(np.ones(elsewhere.shape, np.uint8), elsewhere)
    with pytest.raises(InputError, match="moving mask must have voxels > 0"):
        register(
            FIXED,
            MOVING,
            model=None,
            refinement=FAST_ALONE,
            guidance=Guidance(moving_mask=mask),
        )


def test_structures_of_other_grids_guide():
    fixed_labels = label_blocks(GRID)
    known = Guidance(
        fixed_labels=TRUTH.resample(fixed_labels, onto=GRID), moving_labels=fixed_labels
    )
    flat = Image(np.full(GRID.shape, 5.0) + np.arange(26) * 1e-3, GRID)
    found = register(
        flat, flat, model=None, refinement=replace(FAST_ALONE, affine_levels=())
    )
    guided = register(
        flat,
        flat,
        model=None,
        refinement=replace(FAST_ALONE, affine_levels=()),
        guidance=known,
    )
    dice = [
        np.mean(list(r.dice(known.fixed_labels, fixed_labels)["refined"].values()))
        for r in (found, guided)
    ]
    assert dice[1] > dice[0] + 0.03


@pytest.mark.parametrize(
    ("model", "guidance", "message"),
    [
        (None, None, "nothing but a refinement"),
        (tiny_model(), Guidance(fixed_mask=label_blocks(GRID)), "guide a refinement"),
    ],
)
def test_what_needs_a_refinement_says_so(model, guidance, message):
    with pytest.raises(InputError, match=message):
        register(FIXED, MOVING, model=model, guidance=guidance)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_velocity_brings_the_way_back_along(symmetric):
    refinement = replace(FAST_ALONE, diffeomorphic=True, symmetric=symmetric)
    found = register(FIXED, MOVING, model=None, refinement=refinement)
    assert found.moving_to_fixed is found.stages[-1].moving_to_fixed
    there = found.fixed_to_moving.map_positions(points_mm())
    back = found.moving_to_fixed.map_positions(there)
    distances = np.linalg.norm(back - points_mm(), axis=1)
    assert np.median(distances) < 0.1
    assert error_mm(found.fixed_to_moving) < 0.6 * error_mm(found.before)
    assert found.folding_percent == 0


def folded(found):
    """The registration with a fold in its last transform."""
    flow = smooth_field(GRID, seed=5, largest_voxels=5.0, sigma=2.5)
    stage = replace(found.stages[-1], fixed_to_moving=flow, moving_to_fixed=None)
    return replace(found, stages=(*found.stages[:-1], stage))


def test_folds_are_taken_out_when_asked(alone):
    assert alone.folding_percent == 0
    assert alone.without_folding() is alone
    bad = folded(alone)
    assert bad.folding_percent > 0.05
    good = bad.without_folding()
    assert good.folding_percent == 0
    assert good.field.folding_percent() == 0
    assert list(good.tweening) == list(bad.tweening)
    inside = GRID.voxel_centres_mm()[8:-8, 8:-8, 8:-8].reshape(-1, 3)
    there = good.moving_to_fixed.map_positions(inside)
    again = good.fixed_to_moving.map_positions(there)
    np.testing.assert_allclose(again, inside, atol=0.05)


def test_folds_that_stay_are_told(alone, monkeypatch):
    bad = folded(alone)
    monkeypatch.setattr(
        registration, "unfolded", lambda transform, onto: Unfolded(transform, 2.5)
    )
    with pytest.warns(FoldingWarning, match="2.5 % of the fixed image's voxels fold"):
        bad.without_folding()


def test_folding_is_measured_on_the_fixed_scans_own_voxels(alone):
    bad = folded(alone)
    field = bad.fixed_to_moving.to_field(GRID)
    assert isinstance(field, DisplacementField)
    assert bad.folding_percent == field.folding_percent()


def test_a_budget_of_time_ends_early():
    quick = register(
        FIXED, MOVING, model=None, refinement=replace(FAST_ALONE, seconds=1e-6)
    )
    assert quick.correlation["after"] == pytest.approx(
        quick.correlation["before"], abs=0.05
    )


def test_steps_are_told():
    told = []
    refinement = FAST.with_steps(4)
    register(
        FIXED,
        MOVING,
        model=tiny_model(),
        refinement=refinement,
        on_step=told.append,
    )
    assert [step.level for step in told] == [1, 1, 2, 2]
    assert {step.part for step in told} == {"dense"}

"""Guidance of a refinement: it pulls the right way, whatever the storage order."""

from dataclasses import replace

import numpy as np
import pytest

from support.known_pair import MOVED_SCENE, SCENE, error_mm, known_pair, scene_points_mm
from support.scans import STORAGE_ORDERS, oblique_grid, stored, tiny_model
from voltween.errors import SuspiciousInputWarning
from voltween.refinement import AffineLevel, Level, Refinement
from voltween.registration import Guidance, Side, register
from voltween.spatial import Image, LabelMap, Points, align_centers


@pytest.fixture(scope="module", name="scene")
def scene_fixture():
    return known_pair()


@pytest.mark.parametrize("numbers", [(0, 0), (13, 40), (47, 21)])
def test_landmarks_pull_the_right_way_in_any_storage_order(numbers, scene):
    fixed, moving = (
        stored(image, STORAGE_ORDERS[number])
        for image, number in zip(scene, numbers, strict=True)
    )
    landmarks = Points(scene_points_mm()[:8])
    goal = align_centers(SCENE, MOVED_SCENE).map_points(landmarks)
    goal = Points(goal.mm + np.array([2.0, -1.5, 1.0]))
    refinement = Refinement((Level(4, 30, 0.3),), landmarks=10.0)
    result = register(
        fixed,
        moving,
        model=tiny_model(strength=0.0),
        refinement=refinement,
        guidance=Guidance(Side(points=landmarks), Side(points=goal)),
    )
    before, after = (
        np.linalg.norm(t.map_points(landmarks).mm - goal.mm, axis=1).mean()
        for t in (result.before, result.fixed_to_moving)
    )
    assert before > 2.5
    assert after < 0.5


@pytest.mark.parametrize("numbers", [(0, 0), (13, 40), (47, 21)])
def test_structures_pull_the_right_way_in_any_storage_order(numbers, scene):
    ball = np.linalg.norm(SCENE.voxel_centers_mm() - SCENE.center_mm, axis=-1) < 7
    shifted = MOVED_SCENE.voxel_centers_mm() - MOVED_SCENE.center_mm - [3.0, -2, 1]
    labels = (
        LabelMap(ball.astype(np.uint16) * 5, SCENE),
        LabelMap((np.linalg.norm(shifted, axis=-1) < 7) * 5, MOVED_SCENE),
    )
    fixed, moving, fixed_labels, moving_labels = (
        stored(volume, STORAGE_ORDERS[number])
        for volume, number in zip((*scene, *labels), numbers * 2, strict=True)
    )
    result = register(
        fixed,
        moving,
        model=tiny_model(strength=0.0),
        refinement=Refinement((Level(4, 30, 0.3),), overlap=20.0),
        guidance=Guidance(Side(labels=fixed_labels), Side(labels=moving_labels)),
    )
    dice = [per_label[5] for per_label in result.dice(*labels).values()]
    assert dice[0] < 0.65
    assert dice[-1] > 0.85


def test_what_a_mask_leaves_out_changes_nothing_on_any_grid_of_the_mask(scene):
    """The mask is coarser than the scan and stored in another way."""
    fixed, moving = scene
    grid = oblique_grid((20, 20, 20), seed=1, spacing_mm=(1.9, 1.9, 1.9))
    is_kept = (grid.voxel_centers_mm() - SCENE.center_mm)[..., 0] < 2
    mask = stored(LabelMap(is_kept.astype(np.uint8), grid), STORAGE_ORDERS[22])
    is_far = (SCENE.voxel_centers_mm() - SCENE.center_mm)[..., 0] > 6
    spoilt = Image(np.where(is_far, fixed.data[:, ::-1, ::-1], fixed.data), SCENE)
    model = tiny_model(strength=0.0)
    refinement = Refinement((Level(2, 10, 0.3),), similarity="mean squared error")
    points = scene_points_mm()
    apart = []
    for guidance in (Guidance(fixed=Side(mask=mask)), Guidance()):
        ends = [
            register(
                image, moving, model=model, refinement=refinement, guidance=guidance
            ).fixed_to_moving.map_positions(points)
            for image in (fixed, spoilt)
        ]
        apart.append(np.linalg.norm(ends[0] - ends[1], axis=1).mean())
    assert apart[0] < 0.1 * apart[1]


def test_masks_that_never_meet_get_a_warning(scene):
    """The masks are at opposite ends of two scans that match as they are."""
    sides = []
    for grid, sign in ((SCENE, 1), (MOVED_SCENE, -1)):
        along = sign * (grid.voxel_centers_mm() - grid.center_mm)[..., 0]
        sides.append(Side(mask=LabelMap((along > 6).astype(np.uint8), grid)))
    with pytest.warns(SuspiciousInputWarning, match="no voxel of the fixed mask"):
        register(
            *scene,
            model=tiny_model(strength=0.0),
            refinement=Refinement((Level(2, 2, 0.3),)),
            guidance=Guidance(*sides, initial=align_centers(SCENE, MOVED_SCENE)),
        )


def test_a_further_channel_of_another_modality_helps(scene):
    """The first images have nothing in common; the second do, though inverted."""
    fixed, moving = scene
    others = known_pair(7)[0], known_pair(8)[1]
    inverted = Image(2000 - 1.5 * moving.data, moving.grid)
    guidance = Guidance(Side(channels=(fixed,)), Side(channels=(inverted,)))
    by_second = Refinement(
        (Level(2, 15, 0.5, 2),),
        affine_levels=(AffineLevel(4, 25, 0.4),),
        similarity="normalized mutual information",
        channel_weights=(0.01, 1.0),
    )
    result = register(*others, model=None, refinement=by_second, guidance=guidance)
    assert error_mm(result.fixed_to_moving) < 1.0
    by_first = replace(by_second, channel_weights=(1.0, 0.01))
    missed = register(*others, model=None, refinement=by_first, guidance=guidance)
    assert error_mm(missed.fixed_to_moving) > 2.0

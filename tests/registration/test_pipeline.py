from dataclasses import replace

import numpy as np
import pytest
import torch

from support.known_pair import MOVED_SCENE, SCENE, error_mm, known_pair, scene_points_mm
from support.scans import (
    FIXED,
    MOVING,
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    random_points_mm,
    stored,
    tiny_model,
)
from voltween.errors import InputError
from voltween.ops import warp
from voltween.refinement import FAST, FAST_ALONE, Level, Refinement
from voltween.registration import Guidance, register
from voltween.registration.pipeline import align_centers
from voltween.spatial import Affine, Grid, Image, LabelMap, Points


@pytest.fixture(scope="module", name="model")
def model_fixture():
    return tiny_model()


@pytest.fixture(scope="module", name="result")
def result_fixture(model):
    return register(FIXED, MOVING, model=model)


def test_transform_is_the_networks_flow_between_the_canonical_grids(model, result):
    """moving canonical affine o (identity + flow) o inverse fixed canonical affine."""
    fixed, moving = (model.preprocessing.normalize(image) for image in (FIXED, MOVING))
    tensors = [torch.from_numpy(i.data.copy())[None, None] for i in (fixed, moving)]
    with torch.inference_mode():
        flow = model.network(*tensors).flow[0].numpy()
    voxels = np.moveaxis(np.indices(fixed.grid.shape), 0, -1).reshape(-1, 3)
    moved_voxels = voxels + flow.reshape(3, -1).T
    mapped = result.fixed_to_moving.map_positions(
        fixed.grid.voxel_to_world(voxels * 1.0)
    )
    np.testing.assert_allclose(
        mapped, moving.grid.voxel_to_world(moved_voxels), atol=1e-4
    )


def test_moved_image_in_canonical_space_is_the_networks(model, result):
    fixed, moving = (model.preprocessing.normalize(image) for image in (FIXED, MOVING))
    tensors = [torch.from_numpy(i.data.copy())[None, None] for i in (fixed, moving)]
    with torch.inference_mode():
        flow = model.network(*tensors).flow
        by_network = warp(tensors[1], flow)[0, 0].numpy()
    by_world = result.fixed_to_moving.resample(moving, onto=fixed.grid).data
    assert np.quantile(np.abs(by_network - by_world)[3:-3, 3:-3, 3:-3], 0.9) < 1e-3


def test_result_lives_on_the_users_grids(result):
    assert result.moved.grid is FIXED.grid
    assert [stage.name for stage in result.stages] == ["affine", "dense 1", "dense 2"]
    assert list(result.tweening) == ["before", "affine", "dense 1", "dense 2"]
    assert isinstance(result.stages[0].fixed_to_moving, Affine)


def test_transform_is_continuous_around_the_canonical_grid(result):
    """No tear where the network's field ends: neighbors stay neighbors."""
    line = np.linspace(-60, 60, 2401)
    for axis in range(3):
        points = np.tile(FIXED.grid.center_mm, (len(line), 1))
        points[:, axis] += line
        steps = np.diff(result.fixed_to_moving.map_positions(points), axis=0)
        assert np.linalg.norm(steps, axis=1).max() < 0.6  # per 0.05 mm


def test_affine_beyond_the_field_is_the_affine_stage(result):
    far = FIXED.grid.center_mm + np.array([[200.0, 0, 0], [0, -300, 0]])
    np.testing.assert_allclose(
        result.fixed_to_moving.map_positions(far),
        result.stages[0].fixed_to_moving.map_positions(far),
        atol=1e-9,
    )


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_inverse_leads_back():
    gentle = register(FIXED, MOVING, model=tiny_model(strength=0.05))
    points = random_points_mm(FIXED.grid)
    there = gentle.fixed_to_moving.map_positions(points)
    back = gentle.moving_to_fixed.map_positions(there)
    assert np.linalg.norm(back - points, axis=1).max() < 0.2


def test_scans_may_be_anywhere_in_the_world(model, result):
    """Moving the moving scan's header moves the result along, nothing else."""
    pose = np.eye(4)
    pose[:3, :3] = [[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]
    pose[:3, 3] = 500, -300, 200
    moved_away = Image(MOVING.data, Grid(MOVING.grid.shape, pose @ MOVING.grid.affine))
    points = random_points_mm(FIXED.grid)
    again = register(FIXED, moved_away, model=model)
    expected = Affine(pose).map_positions(result.fixed_to_moving.map_positions(points))
    np.testing.assert_allclose(
        again.fixed_to_moving.map_positions(points), expected, atol=1e-4
    )


def test_an_untrained_network_changes_nothing_but_the_placement():
    model = tiny_model(strength=0.0)
    same = register(FIXED, FIXED, model=model)
    np.testing.assert_allclose(same.moved.data, FIXED.data, atol=0.05)  # of about 3000
    assert same.correlation["after"] == pytest.approx(1)
    assert same.folding_percent == 0


def test_center_alignment_lays_middles_and_axes_on_each_other():
    before = align_centers(FIXED.grid, MOVING.grid)
    mapped = before.map_positions(FIXED.grid.center_mm[None])[0]
    np.testing.assert_allclose(mapped, MOVING.grid.center_mm)
    assert np.linalg.det(before.matrix[:3, :3]) == pytest.approx(1)


def test_dice_is_given_for_shared_labels_at_every_stage(result):
    fixed, moving = label_blocks(FIXED.grid), label_blocks(MOVING.grid)
    without = LabelMap(np.where(moving.data == 7, 0, moving.data), moving.grid)
    dice = result.dice(fixed, without)
    assert list(dice) == list(result.tweening)
    assert all(list(per_label) == [1, 2, 40] for per_label in dice.values())
    assert 0 < dice["before"][1] < 1


def test_dice_without_shared_labels_is_refused(result):
    other = LabelMap(np.full(MOVING.grid.shape, 99), MOVING.grid)
    with pytest.raises(InputError, match="a label that occurs in both"):
        result.dice(label_blocks(FIXED.grid), other)


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_images_that_cannot_be_registered_are_named(role, model):
    constant = Image(np.full(FIXED.grid.shape, 4), FIXED.grid)
    pair = (constant, MOVING) if role == "fixed" else (FIXED, constant)
    with pytest.raises(InputError, match=f"{role}.*constant image"):
        register(*pair, model=model)


def test_timings_are_reported(result):
    assert {"preparing", "network", "transforms"} <= set(result.seconds)
    assert all(seconds >= 0 for seconds in result.seconds.values())


STILL = Refinement((Level(1, 1, 1e-6),))


@pytest.fixture(scope="module", name="scene")
def scene_fixture():
    return known_pair()


@pytest.fixture(scope="module", name="alone")
def alone_fixture(scene):
    return register(*scene, model=None, refinement=FAST_ALONE)


def test_without_a_model_a_known_transform_is_found(alone):
    assert [stage.name for stage in alone.stages] == ["affine", "refined"]
    assert alone.model_name == "none"
    assert isinstance(alone.stages[0].fixed_to_moving, Affine)
    errors = [error_mm(transform) for transform in alone.tweening.values()]
    assert errors[0] > 4
    assert errors[1] < 0.8
    assert errors[2] < 0.3
    assert alone.folding_percent == 0


@pytest.mark.parametrize("order", STORAGE_ORDERS[5::16])
def test_without_a_model_the_storage_order_does_not_matter(order, scene, alone):
    other = STORAGE_ORDERS[(STORAGE_ORDERS.index(order) * 7 + 5) % 48]
    pair = stored(scene[0], order), stored(scene[1], other)
    again = register(*pair, model=None, refinement=FAST_ALONE)
    points = scene_points_mm()
    np.testing.assert_allclose(
        again.fixed_to_moving.map_positions(points),
        alone.fixed_to_moving.map_positions(points),
        atol=1e-3,
    )


def test_time_that_is_over_ends_it_with_what_is_found(scene):
    hurried = replace(FAST_ALONE, seconds=1e-3)
    told = []
    found = register(*scene, model=None, refinement=hurried, on_step=told.append)
    assert not told
    assert [stage.name for stage in found.stages] == ["affine", "refined"]
    points = scene_points_mm()
    np.testing.assert_allclose(
        found.fixed_to_moving.map_positions(points),
        found.stages[0].fixed_to_moving.map_positions(points),
    )


def inner_points_mm():
    points = random_points_mm(FIXED.grid, 600)
    return points[np.linalg.norm(points - FIXED.grid.center_mm, axis=1) < 7]


@pytest.mark.parametrize("diffeomorphic", [False, True])
@pytest.mark.parametrize(
    ("stages", "spacing_mm"),
    [("A", None), ("A", "own"), ("A", 1.1), ("A", 2.0), ("ADD", None)],
)
def test_a_refinement_starts_from_the_networks_answer(
    stages, spacing_mm, diffeomorphic
):
    """On other voxels, too: an affine answer shows it exactly."""
    still = replace(STILL, spacing_mm=spacing_mm, diffeomorphic=diffeomorphic)
    model = tiny_model(stages, strength=0.1)
    with torch.no_grad():
        model.network.affine.head.weight.mul_(300)
    fixed = stored(FIXED, STORAGE_ORDERS[13])
    found = register(fixed, MOVING, model=model, refinement=still)
    tweening = [t.map_positions(inner_points_mm()) for t in found.tweening.values()]
    placed, affine, before, after = *tweening[:2], *tweening[-2:]
    assert np.linalg.norm(affine - placed, axis=1).mean() > 0.3
    # The logarithm of a rough flow is one in part only.
    tolerance_mm = 0.1 if diffeomorphic else 1e-3
    np.testing.assert_allclose(after, before, atol=tolerance_mm)


@pytest.mark.parametrize("numbers", [(0, 0), (13, 40), (47, 21)])
def test_landmarks_pull_the_right_way_in_any_storage_order(numbers, scene):
    fixed, moving = (
        stored(image, STORAGE_ORDERS[number])
        for image, number in zip(scene, numbers, strict=True)
    )
    landmarks = Points(scene_points_mm()[:8])
    goal = align_centers(SCENE, MOVED_SCENE).map_points(landmarks)
    goal = Points(goal.mm + np.array([2.0, -1.5, 1.0]))
    known = Guidance(fixed_points=landmarks, moving_points=goal)
    refinement = Refinement((Level(4, 30, 0.3),), landmarks=10.0)
    found = register(
        fixed,
        moving,
        model=tiny_model(strength=0.0),
        refinement=refinement,
        guidance=known,
    )
    before, after = (
        np.linalg.norm(t.map_points(landmarks).mm - goal.mm, axis=1).mean()
        for t in (found.before, found.fixed_to_moving)
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
    found = register(
        fixed,
        moving,
        model=tiny_model(strength=0.0),
        refinement=Refinement((Level(4, 30, 0.3),), overlap=20.0),
        guidance=Guidance(fixed_labels=fixed_labels, moving_labels=moving_labels),
    )
    dice = [per_label[5] for per_label in found.dice(*labels).values()]
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
    for guidance in (Guidance(fixed_mask=mask), Guidance()):
        ends = [
            register(
                image, moving, model=model, refinement=refinement, guidance=guidance
            ).fixed_to_moving.map_positions(points)
            for image in (fixed, spoilt)
        ]
        apart.append(np.linalg.norm(ends[0] - ends[1], axis=1).mean())
    assert apart[0] < 0.1 * apart[1]


def test_a_further_image_of_another_modality_helps(scene):
    """The first images share nothing; the second, darker and brighter, do."""
    fixed, moving = scene
    others = known_pair(7)[0], known_pair(8)[1]
    inverted = Image(2000 - 1.5 * moving.data, moving.grid)
    known = Guidance(fixed_channels=(fixed,), moving_channels=(inverted,))
    heard = replace(
        FAST_ALONE,
        similarity="normalized mutual information",
        channel_weights=(0.01, 1.0),
    )
    found = register(*others, model=None, refinement=heard, guidance=known)
    assert error_mm(found.fixed_to_moving) < 1.0
    unheard = replace(heard, channel_weights=(1.0, 0.01))
    missed = register(*others, model=None, refinement=unheard, guidance=known)
    assert error_mm(missed.fixed_to_moving) > 2.0


def test_velocities_come_with_the_way_back(scene):
    model = tiny_model(strength=0.1)
    refinement = replace(FAST, diffeomorphic=True, tolerance=0.01)
    found = register(*scene, model=model, refinement=refinement)
    assert found.moving_to_fixed is found.stages[-1].moving_to_fixed
    assert all(stage.moving_to_fixed is None for stage in found.stages[:-1])
    for grid, there, back in (
        (SCENE, found.fixed_to_moving, found.moving_to_fixed),
        (MOVED_SCENE, found.moving_to_fixed, found.fixed_to_moving),
    ):
        points = random_points_mm(grid)
        again = back.map_positions(there.map_positions(points))
        assert np.median(np.linalg.norm(again - points, axis=1)) < 0.1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "without a model there is nothing but a refinement"),
        (
            {"guidance": Guidance(fixed_mask=label_blocks(FIXED.grid))},
            "without a model there is nothing but a refinement",
        ),
        (
            {"refinement": replace(FAST_ALONE, channel_weights=(1.0, 2.0))},
            "channel_weights must be at most 1",
        ),
    ],
)
def test_what_leaves_nothing_to_do_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        register(FIXED, MOVING, model=None, **given)


def test_guidance_without_a_refinement_is_refused(model):
    known = Guidance(fixed_mask=label_blocks(FIXED.grid))
    with pytest.raises(InputError, match="guide a refinement, got none"):
        register(FIXED, MOVING, model=model, guidance=known)


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_without_a_model_too_images_that_cannot_be_registered_are_named(role):
    constant = Image(np.full(FIXED.grid.shape, 4), FIXED.grid)
    pair = (constant, MOVING) if role == "fixed" else (FIXED, constant)
    with pytest.raises(InputError, match=f"{role}.*constant image"):
        register(*pair, model=None, refinement=FAST_ALONE)


def test_a_single_slice_is_refused(model):
    slices = Image(FIXED.data[..., :1], Grid((18, 16, 1), FIXED.grid.affine))
    with pytest.raises(InputError, match="at least 2 voxels along each axis, got 18"):
        register(slices, MOVING, model=model)

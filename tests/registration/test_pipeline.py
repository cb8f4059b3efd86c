"""Registration by a network: its transform between the scans' own worlds; refusals."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.scans import FIXED, MOVING, label_blocks, random_points_mm, tiny_model
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.ops import warp
from voltween.refinement import FAST_ALONE
from voltween.registration import Guidance, Side, register, register_by_network
from voltween.spatial import Affine, Grid, Image


@pytest.fixture(scope="module", name="model")
def model_fixture():
    return tiny_model()


@pytest.fixture(scope="module", name="result")
def result_fixture(model):
    return register_by_network(FIXED, MOVING, model)


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
    gentle = register_by_network(FIXED, MOVING, tiny_model(strength=0.05))
    points = random_points_mm(FIXED.grid)
    moved = gentle.fixed_to_moving.map_positions(points)
    again = gentle.moving_to_fixed.map_positions(moved)
    assert np.linalg.norm(again - points, axis=1).max() < 0.2


def test_scans_may_be_anywhere_in_the_world(model, result):
    """Moving the moving scan's header moves the result along, nothing else."""
    pose = np.eye(4)
    pose[:3, :3] = [[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]
    pose[:3, 3] = 500, -300, 200
    moved_away = Image(MOVING.data, Grid(MOVING.grid.shape, pose @ MOVING.grid.affine))
    points = random_points_mm(FIXED.grid)
    again = register_by_network(FIXED, moved_away, model)
    expected = Affine(pose).map_positions(result.fixed_to_moving.map_positions(points))
    np.testing.assert_allclose(
        again.fixed_to_moving.map_positions(points), expected, atol=1e-4
    )


def test_an_untrained_network_changes_nothing_but_the_placement():
    model = tiny_model(strength=0.0)
    same = register_by_network(FIXED, FIXED, model)
    np.testing.assert_allclose(same.moved.data, FIXED.data, atol=0.05)  # of about 3000
    assert same.correlation["after"] == pytest.approx(1)
    assert same.folding_percent == 0


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_images_that_cannot_be_registered_are_named(role, model):
    constant = Image(np.full(FIXED.grid.shape, 4), FIXED.grid)
    pair = (constant, MOVING) if role == "fixed" else (FIXED, constant)
    with pytest.raises(InputError, match=f"^{role}: .*constant"):
        register(*pair, model=model)


def test_the_parts_of_the_work_are_timed(model):
    """Each takes some time, and all of them no more than the whole."""
    start = time.perf_counter()
    seconds = register_by_network(FIXED, MOVING, model).seconds
    whole = time.perf_counter() - start
    assert list(seconds) == ["preparing", "network", "transforms"]
    for part in ("preparing", "network", "transforms"):
        assert seconds[part].wall > 1e-5
    assert 0.5 * whole < sum(both.wall for both in seconds.values()) <= whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refinement": None}, "without a model: expected a refinement"),
        (
            {
                "refinement": None,
                "guidance": Guidance(Side(mask=label_blocks(FIXED.grid))),
            },
            "without a model: expected a refinement",
        ),
        (
            {"refinement": replace(FAST_ALONE, channel_weights=(1.0, 2.0))},
            "channel_weights: expected at most 1",
        ),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        register(FIXED, MOVING, model=None, **options)


def test_guidance_without_a_refinement_is_refused(model):
    guidance = Guidance(Side(mask=label_blocks(FIXED.grid)))
    with pytest.raises(InputError, match="expected a refinement to guide, got none"):
        register(FIXED, MOVING, model=model, refinement=None, guidance=guidance)


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_without_a_model_as_well_constant_images_are_named(role):
    image = Image(np.full(FIXED.grid.shape, 4), FIXED.grid)
    pair = (image, MOVING) if role == "fixed" else (FIXED, image)
    with pytest.raises(InputError, match=f"^{role}: .*constant"):
        register(*pair, model=None, refinement=FAST_ALONE)


@pytest.mark.parametrize("role", ["fixed", "moving"])
def test_without_a_model_as_well_label_maps_are_named_and_registered(role):
    image = Image(label_blocks(FIXED.grid).data, FIXED.grid)
    pair = (image, MOVING) if role == "fixed" else (FIXED, image)
    with pytest.warns(SuspiciousInputWarning) as told:
        register(*pair, model=None, refinement=FAST_ALONE)
    texts = {str(warning.message) for warning in told}
    assert len(texts) == 1
    assert texts.pop().startswith(f"{role}: the scan looks like a label map")


def test_a_single_slice_is_refused(model):
    slices = Image(FIXED.data[..., :1], Grid((18, 16, 1), FIXED.grid.affine))
    with pytest.raises(
        InputError,
        match=r"^fixed image: expected at least 2 .*, got 18 x 16 x 1",
    ):
        register(slices, MOVING, model=model)

"""Instance optimization of a pair: without a model, and after one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from support.known_pair import MOVED_SCENE, SCENE, error_mm, known_pair, scene_points_mm
from support.scans import (
    FIXED,
    MOVING,
    STORAGE_ORDERS,
    random_points_mm,
    stored,
    tiny_model,
)
from voltween.refinement import (
    FAST,
    FAST_ALONE,
    AffineLevel,
    Level,
    Refinement,
    Watch,
)
from voltween.registration import Guidance, register
from voltween.registration.candidates import Candidate, Optimization, by_network
from voltween.registration.judge import Judge
from voltween.registration.pair_view import PairView, SideView
from voltween.spatial import Affine, align_centers

STILL = Refinement((Level(1, 1, 1e-6),))
QUICK = Refinement((Level(2, 10, 0.5, 4),), affine_levels=(AffineLevel(4, 10, 0.3),))


@pytest.fixture(scope="module", name="scene")
def scene_fixture():
    return known_pair()


@pytest.fixture(scope="module", name="alone")
def alone_fixture(scene):
    return register(*scene, model=None, refinement=FAST_ALONE)


@pytest.fixture(scope="module", name="plain")
def plain_fixture(scene):
    return register(*scene, model=None, refinement=QUICK)


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
def test_without_a_model_the_storage_order_does_not_matter(order, scene, plain):
    other = STORAGE_ORDERS[(STORAGE_ORDERS.index(order) * 7 + 5) % 48]
    pair = stored(scene[0], order), stored(scene[1], other)
    again = register(*pair, model=None, refinement=QUICK)
    points = scene_points_mm()
    np.testing.assert_allclose(
        again.fixed_to_moving.map_positions(points),
        plain.fixed_to_moving.map_positions(points),
        atol=1e-3,
    )


def test_a_time_limit_ends_the_search_with_its_result_so_far(scene):
    hurried = replace(FAST_ALONE, seconds=1e-3)
    steps = []
    result = register(*scene, model=None, refinement=hurried, on_step=steps.append)
    assert not steps
    assert result.stages[-1].name != "refined"
    assert error_mm(result.fixed_to_moving) <= error_mm(result.before) + 0.5


def inner_points_mm():
    points = random_points_mm(FIXED.grid, 600)
    return points[np.linalg.norm(points - FIXED.grid.center_mm, axis=1) < 7]


@pytest.mark.parametrize("diffeomorphic", [False, True])
@pytest.mark.parametrize(
    ("stages", "spacing_mm"),
    [("A", None), ("A", "own"), ("A", 1.1), ("A", 2.0), ("ADD", None)],
)
def test_a_refinement_starts_from_the_networks_transform(
    stages, spacing_mm, diffeomorphic
):
    """On other voxels as well: an affine transform shows it exactly."""
    still = replace(STILL, spacing_mm=spacing_mm, diffeomorphic=diffeomorphic)
    model = tiny_model(stages, strength=0.1)
    with torch.no_grad():
        model.network.affine.head.weight.mul_(300)
    fixed = stored(FIXED, STORAGE_ORDERS[13])
    view = PairView(
        *(SideView.of(s, model.preprocessing, model.device) for s in (fixed, MOVING))
    )
    start = by_network(model, Candidate(Judge.of(fixed, MOVING), view, {}))
    refined = Optimization(still, Guidance(), Watch()).dense(start)
    stages = [stage.fixed_to_moving for stage in refined.world_stages]
    tweening = [
        t.map_positions(inner_points_mm())
        for t in (align_centers(fixed.grid, MOVING.grid), *stages)
    ]
    placed, affine, before, after = *tweening[:2], *tweening[-2:]
    assert np.linalg.norm(affine - placed, axis=1).mean() > 0.3
    # The logarithm of a rough flow is one in part only.
    tolerance_mm = 0.1 if diffeomorphic else 1e-3
    np.testing.assert_allclose(after, before, atol=tolerance_mm)


def test_velocities_come_with_the_inverse(scene):
    model = tiny_model(strength=0.1)
    refinement = replace(FAST, diffeomorphic=True, tolerance=0.01)
    result = register(*scene, model=model, refinement=refinement)
    assert result.moving_to_fixed is result.stages[-1].moving_to_fixed
    assert all(stage.moving_to_fixed is None for stage in result.stages[:-1])
    for grid, forward, backward in (
        (SCENE, result.fixed_to_moving, result.moving_to_fixed),
        (MOVED_SCENE, result.moving_to_fixed, result.fixed_to_moving),
    ):
        points = random_points_mm(grid)
        again = backward.map_positions(forward.map_positions(points))
        assert np.median(np.linalg.norm(again - points, axis=1)) < 0.1

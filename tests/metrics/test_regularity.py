"""Folding, spread of volume change and inverse consistency: by hand and by loops."""

import math
import tracemalloc
from itertools import product

import numpy as np
import pytest

from support.scans import (
    FIXED,
    MOVING,
    TO_MOVING,
    oblique_grid,
    smooth_field,
    some_affine,
)
from voltween.metrics import (
    inside_percent,
    inverse_consistency_mm,
    measure_regularity,
)
from voltween.metrics import regularity as module
from voltween.spatial import Affine, DisplacementField, Grid

SHAPE = (9, 10, 11)


def field_of(positions):
    """Field on an oblique grid of the map of voxels to `positions` (3, I, J, K)."""
    flow = positions - np.indices(SHAPE)
    return DisplacementField.from_flow(flow, oblique_grid(SHAPE))


def planes_moved_to(places):
    """Field in plain voxels that moves each plane of the first axis to its place."""
    flow = np.zeros((3, *SHAPE))
    flow[0] = (np.array(places) - np.arange(SHAPE[0]))[:, None, None]
    return DisplacementField.from_flow(flow, Grid(SHAPE, np.eye(4)))


def regularity_of(field):
    return measure_regularity(field.determinants(field.grid))


def test_scaling_has_its_volume_change_everywhere():
    regularity = regularity_of(field_of(1.2 * np.indices(SHAPE)))
    assert regularity.folding_percent == regularity.folding_percent_learn2reg == 0
    assert regularity.sd_log_jacobian == pytest.approx(0, abs=1e-12)
    assert regularity.sd_log_jacobian_learn2reg == pytest.approx(0, abs=1e-6)


def test_two_scales_spread_the_volume_change_by_hand():
    # J is 1 at the first 4 of 9 planes, 3 at the last 4, and 2 between them.
    field = planes_moved_to([0, 1, 2, 3, 4, 7, 10, 13, 16])
    regularity = regularity_of(field)
    growth = [1, 1, 1, 1, 2, 3, 3, 3, 3]
    assert regularity.sd_log_jacobian == pytest.approx(np.std(np.log(growth)))
    with_three = [4, 4, 5, 6, 6]  # without two planes at either end, plus 3
    expected = np.std(np.log(with_three))
    assert regularity.sd_log_jacobian_learn2reg == pytest.approx(expected)
    assert regularity.folding_percent == 0


def test_folding_by_hand():
    # J is 0 or less in 5 of 9 planes. Learn2Reg looks at the middle 5: J + 3 is 3, 2,
    # 2, -1 and 0.5, and one folds by its count.
    field = planes_moved_to([0, 1, 2, 1, 0, -1, -8, -6, -5])
    growth = field.jacobian_determinant()[:, 0, 0]
    assert growth.tolist() == [1, 1, 0, -1, -1, -4, -2.5, 1.5, 1]
    regularity = regularity_of(field)
    assert regularity.folding_percent == pytest.approx(100 * 5 / 9)
    assert regularity.folding_percent_learn2reg == pytest.approx(100 * 1 / 5)
    expected = np.std(np.log([1, 1, 1.5, 1]))
    assert regularity.sd_log_jacobian == pytest.approx(expected)
    expected = np.std(np.log([3, 2, 2, 1e-9, 0.5]))
    assert regularity.sd_log_jacobian_learn2reg == pytest.approx(expected)


def rough_field(seed=0, strength=1.5):
    """A field that folds, by Learn2Reg's count too."""
    flow = np.random.default_rng(seed).standard_normal((3, *SHAPE)) * strength
    return DisplacementField.from_flow(flow, oblique_grid(SHAPE))


def test_folding_equals_that_of_the_field():
    field = rough_field()
    assert 10 < field.folding_percent() < 90
    assert regularity_of(field).folding_percent == pytest.approx(
        field.folding_percent()
    )


def learn2reg_shifted_by_loops(flow):
    """Determinant + 3 at voxels 2 and more from the border, one voxel at a time."""
    shifted = []
    for voxel in product(*(range(2, n - 2) for n in SHAPE)):
        jacobian = np.zeros((3, 3))
        for component, axis in product(range(3), repeat=2):
            step = np.eye(3, dtype=int)[axis]
            after = flow[component][tuple(voxel + step)]
            before = flow[component][tuple(voxel - step)]
            jacobian[component, axis] = 0.5 * after - 0.5 * before
        shifted.append(np.linalg.det(jacobian + np.eye(3)) + 3)
    return np.array(shifted)


@pytest.mark.parametrize("strength", [0.3, 1.5])
def test_learn2reg_figures_equal_a_naive_loop(strength):
    field = rough_field(strength=strength)
    shifted = learn2reg_shifted_by_loops(field.to_flow())
    regularity = regularity_of(field)
    folding_percent = 100 * (shifted <= 0).mean()
    assert (folding_percent > 0) == (strength > 1)
    assert regularity.folding_percent_learn2reg == pytest.approx(folding_percent)
    expected = np.std(np.log(np.clip(shifted, 1e-9, 1e9)))
    assert regularity.sd_log_jacobian_learn2reg == pytest.approx(expected, rel=1e-6)


def test_figures_do_not_depend_on_where_the_grid_lies():
    flow = rough_field(strength=0.4).to_flow()
    reference = regularity_of(rough_field(strength=0.4))
    for seed, spacing_mm in ((1, (1.0, 1.0, 1.0)), (2, (0.7, 2.0, 3.1))):
        grid = oblique_grid(SHAPE, seed, spacing_mm)
        regularity = regularity_of(DisplacementField.from_flow(flow, grid))
        assert regularity.sd_log_jacobian == pytest.approx(reference.sd_log_jacobian)
        assert regularity.sd_log_jacobian_learn2reg == pytest.approx(
            reference.sd_log_jacobian_learn2reg
        )


def test_affine_put_on_a_grid_is_regular():
    regularity = measure_regularity(some_affine().determinants(oblique_grid(SHAPE)))
    assert regularity.folding_percent == 0
    assert regularity.sd_log_jacobian == pytest.approx(0, abs=1e-6)


def test_thin_grid_has_no_learn2reg_figures():
    flow = np.random.default_rng(0).uniform(-0.2, 0.2, (3, 8, 8, 4))
    field = DisplacementField.from_flow(flow, oblique_grid((8, 8, 4)))
    regularity = regularity_of(field)
    assert math.isnan(regularity.folding_percent_learn2reg)
    assert math.isnan(regularity.sd_log_jacobian_learn2reg)
    assert regularity.sd_log_jacobian > 0


def shift(*offset_mm):
    matrix = np.eye(4)
    matrix[:3, 3] = offset_mm
    return Affine(matrix)


def test_shift_and_its_inverse_are_consistent():
    grid = oblique_grid()
    grids = {"fixed": grid, "moving": grid}
    forward = shift(1, -2, 0.5)
    assert inverse_consistency_mm(forward, forward.inverse(), **grids) < 1e-9
    # A way back that misses by 3 mm along one axis and 4 along another.
    missing = shift(-1 + 3, 2 + 4, -0.5)
    consistency_mm = inverse_consistency_mm(forward, missing, **grids)
    assert consistency_mm == pytest.approx(5)


def test_inverse_of_a_field_is_far_more_consistent_than_none():
    field = smooth_field(FIXED.grid)
    forward = TO_MOVING @ field
    grids = {"fixed": FIXED.grid, "moving": MOVING.grid}
    consistency_mm = inverse_consistency_mm(forward, forward.inverse(), **grids)
    without = inverse_consistency_mm(forward, TO_MOVING.inverse(), **grids)
    assert 0 < consistency_mm < 0.1 * without


def test_consistency_equals_points_mapped_there_and_back():
    forward = TO_MOVING @ smooth_field(FIXED.grid, seed=1)
    backward = smooth_field(FIXED.grid, seed=2) @ TO_MOVING.inverse()
    centers_mm = FIXED.grid.voxel_centers_mm().reshape(-1, 3)
    mapped_mm = forward.map_positions(centers_mm)
    errors_mm = np.linalg.norm(backward.map_positions(mapped_mm) - centers_mm, axis=1)
    voxels = MOVING.grid.world_to_voxel(mapped_mm)
    shape = np.array(MOVING.grid.shape)
    inside = (np.abs(voxels - (shape - 1) / 2) < shape / 2).all(axis=1)
    assert 0 < inside.sum() < inside.size
    consistency_mm = inverse_consistency_mm(
        forward, backward, fixed=FIXED.grid, moving=MOVING.grid
    )
    assert consistency_mm == pytest.approx(errors_mm[inside].mean(), rel=1e-6)
    assert consistency_mm != pytest.approx(errors_mm.mean(), rel=1e-3)


def test_only_voxels_that_reach_the_moving_grid_count():
    # Half of the fixed grid leaves the moving one; the way back is wrong out there.
    grid = oblique_grid((10, 8, 6))
    half = grid.affine[:3, 0] * 5
    flow = np.zeros((3, 10, 8, 6))
    flow[0, 7:] = 4  # read at the images of the last planes that stay inside
    backward = shift(*-half) @ DisplacementField.from_flow(flow, grid)
    consistency_mm = inverse_consistency_mm(
        shift(*half), backward, fixed=grid, moving=grid
    )
    # Of the five planes that stay, mapped to planes 5 to 9, three come back wrong.
    assert consistency_mm == pytest.approx(3 / 5 * 4 * grid.spacing_mm[0])


def test_nothing_is_measured_where_nothing_overlaps():
    grid = oblique_grid()
    far = shift(1e4, 0, 0)
    consistency_mm = inverse_consistency_mm(far, far.inverse(), fixed=grid, moving=grid)
    assert math.isnan(consistency_mm)


def test_voxels_that_stay_inside_the_moving_scan_are_counted():
    grid = oblique_grid((10, 8, 6))
    for voxels, percent in ((0, 100), (-0.4, 100), (3, 70), (-9, 10), (11, 0)):
        offset_mm = grid.affine[:3, 0] * voxels
        share = inside_percent(shift(*offset_mm), fixed=grid, moving=grid)
        assert share == pytest.approx(percent)


def test_the_moving_grid_counts_not_the_fixed_one():
    forward = TO_MOVING @ smooth_field(FIXED.grid, seed=1)
    mapped_mm = forward.map_positions(FIXED.grid.voxel_centers_mm().reshape(-1, 3))
    voxels = MOVING.grid.world_to_voxel(mapped_mm)
    shape = np.array(MOVING.grid.shape)
    inside = (np.abs(voxels - (shape - 1) / 2) < shape / 2).all(axis=1)
    percent = inside_percent(forward, fixed=FIXED.grid, moving=MOVING.grid)
    assert percent == pytest.approx(100 * inside.mean())
    assert 0 < percent < 100


def test_slabs_give_the_figures_of_the_whole(monkeypatch):
    forward = TO_MOVING @ smooth_field(FIXED.grid, seed=1)
    grids = {"fixed": FIXED.grid, "moving": MOVING.grid}
    backward = TO_MOVING.inverse()
    whole = inside_percent(forward, **grids)
    error_mm = inverse_consistency_mm(forward, backward, **grids)
    monkeypatch.setattr(module, "_SLAB_VOXELS", 1)
    assert inside_percent(forward, **grids) == whole
    assert inverse_consistency_mm(forward, backward, **grids) == pytest.approx(
        error_mm, rel=1e-6
    )


def test_measures_hold_no_field_of_the_whole_grid(monkeypatch):
    monkeypatch.setattr(module, "_SLAB_VOXELS", 20_000)
    grid = Grid((200, 100, 50), np.eye(4))
    forward = shift(0.5, 0.25, 0) @ smooth_field(
        Grid((12, 12, 12), np.diag([20, 10, 5, 1]))
    )
    backward = shift(-0.5, -0.25, 0)
    tracemalloc.start()
    growth = forward.determinants(grid)
    measure_regularity(growth)
    inside_percent(forward, fixed=grid, moving=grid)
    inverse_consistency_mm(forward, backward, fixed=grid, moving=grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    slab_bytes = 250 * module._SLAB_VOXELS
    assert peak < 12 * growth.size + slab_bytes

"""A pair as a refinement sees it: in the right place, or refused in one line."""

import numpy as np
import pytest
import torch

from support.scans import (
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    random_points_mm,
    smooth_image,
    stored,
)
from voltween.errors import InputError
from voltween.preprocessing import Preprocessing
from voltween.refinement import Level, Refinement
from voltween.registration import Guidance
from voltween.registration.pair_view import PairView
from voltween.spatial import Grid, Image, LabelMap, Points

FIXED = smooth_image(oblique_grid((20, 18, 16), seed=1), seed=1, sigma=2)
MOVING = smooth_image(oblique_grid((18, 20, 16), seed=2), seed=2, sigma=2)
RULE = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0))
LABELS = {"fixed_labels": label_blocks(FIXED.grid)} | {
    "moving_labels": label_blocks(MOVING.grid)
}


def view(fixed=FIXED, moving=MOVING):
    return PairView.of(fixed, moving, (RULE, RULE), torch.device("cpu"))


def asked(spacing_mm, shrink=1):
    return Refinement((Level(1, 1, 0.5, shrink),), spacing_mm=spacing_mm)


def elsewhere(grid):
    affine = grid.affine.copy()
    affine[:3, 3] += 500
    return Grid(grid.shape, affine)


def test_the_models_grid_is_kept_where_nothing_else_is_asked_for():
    seen = view()
    assert seen.for_refinement(asked(None)) is seen
    assert seen.for_refinement(asked(2.0)) is seen


def test_own_voxels_are_the_fixed_scans_along_right_anterior_superior():
    for order in STORAGE_ORDERS[::9]:
        finer = view(stored(FIXED, order)).for_refinement(asked("own"))
        for grid in finer.grids:
            np.testing.assert_allclose(grid.spacing_mm, (1.1, 1.7, 2.3))
            assert grid.shape == (30, 19, 14)  # 32 mm, rounded up


def test_other_voxels_are_in_the_same_place_and_of_the_multiple_asked_for():
    seen = view()
    for spacing_mm, shrink, shape in ((1.0, 1, 32), (1.5, 4, 24), (2.0, 3, 18)):
        finer = seen.for_refinement(asked(spacing_mm, shrink))
        assert finer.grids.fixed.shape == finer.grids.moving.shape == (shape,) * 3
        for grid, before in zip(finer.grids, seen.grids, strict=True):
            np.testing.assert_allclose(grid.spacing_mm, spacing_mm)
            np.testing.assert_allclose(grid.center_mm, before.center_mm)


@pytest.mark.parametrize(("spacing_mm", "advice"), [(0.01, "wider"), (9.0, "narrower")])
def test_voxels_that_fill_the_memory_or_show_nothing_are_refused(spacing_mm, advice):
    with pytest.raises(InputError, match=rf"in all, got .*: give {advice} ones$"):
        view().for_refinement(asked(spacing_mm))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int64])
def test_structures_may_be_stored_in_any_whole_numbers(dtype):
    labels = {
        name: LabelMap(given.data.astype(dtype), given.grid)
        for name, given in LABELS.items()
    }
    evidence = view().evidence(Guidance(**labels))
    assert evidence.labels == [1, 2, 7, 40]
    assert int((evidence.fixed_labels == torch.tensor(7)).sum()) > 100


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_what_is_known_is_seen_in_one_place_in_any_storage_order(order):
    """Masks, structures and landmarks have grids and orders of their own."""
    points = Points(random_points_mm(FIXED.grid, 5))
    pair = Points(random_points_mm(MOVING.grid, 5))
    mask = LabelMap(LABELS["fixed_labels"].data == 7, FIXED.grid)
    known = {"fixed_points": points, "moving_points": pair, "fixed_mask": mask}
    plain = view().evidence(Guidance(**known, **LABELS))
    known["fixed_mask"] = stored(mask, order)
    labels = {name: stored(given, order) for name, given in LABELS.items()}
    again = view(stored(FIXED, order)).evidence(Guidance(**known, **labels))
    assert torch.allclose(again.fixed_mask, plain.fixed_mask, atol=1e-4)
    assert torch.allclose(again.fixed_points, plain.fixed_points, atol=1e-3)
    apart = (again.fixed_labels != plain.fixed_labels).float().mean()
    assert float(apart) < 1e-3


def test_landmarks_are_voxels_of_the_grid_of_their_side():
    seen = view()
    points = [Points(random_points_mm(grid, 5)) for grid in (FIXED.grid, MOVING.grid)]
    guidance = Guidance(fixed_points=points[0], moving_points=points[1])
    evidence = seen.evidence(guidance)
    found = (evidence.fixed_points, evidence.moving_points)
    for grid, voxels, given in zip(seen.grids, found, points, strict=True):
        back = grid.voxel_to_world(voxels[0].numpy().astype(float))
        np.testing.assert_allclose(back, given.mm, atol=1e-3)


MISPLACED = LabelMap(label_blocks(FIXED.grid).data, elsewhere(FIXED.grid))
ONE_VOXEL = np.zeros(FIXED.grid.shape, np.uint8)
ONE_VOXEL[10, 9, 8] = 1
FAR = Points(random_points_mm(MOVING.grid, 3) + 500)
NEAR = Points(random_points_mm(FIXED.grid, 3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"fixed_mask": MISPLACED}, "fixed mask must be > 0 in whole voxels"),
        ({"moving_mask": MISPLACED}, "moving mask must be > 0 in whole voxels"),
        ({"fixed_mask": LabelMap(ONE_VOXEL, FIXED.grid)}, "fixed mask must be > 0"),
        (LABELS | {"fixed_labels": MISPLACED}, "fixed labels must be > 0"),
        ({"fixed_points": NEAR, "moving_points": FAR}, "moving landmarks must lie"),
    ],
)
def test_what_is_somewhere_else_than_the_scan_is_refused(given, message):
    with pytest.raises(InputError, match=message) as caught:
        view().evidence(Guidance(**given))
    assert "\n" not in str(caught.value)


def test_a_landmark_beyond_the_grid_is_kept_where_others_are_on_it():
    mixed = Points(np.concatenate([random_points_mm(MOVING.grid, 2), FAR.mm[:1]]))
    guidance = Guidance(fixed_points=NEAR, moving_points=mixed)
    assert view().evidence(guidance).moving_points.shape == (1, 3, 3)


def test_a_further_image_that_says_nothing_is_named():
    flat = Image(np.full(MOVING.grid.shape, 4), MOVING.grid)
    known = Guidance(fixed_channels=(FIXED, FIXED), moving_channels=(MOVING, flat))
    with pytest.raises(InputError, match=r"moving channel 2: .*constant image"):
        view().evidence(known)


def test_further_images_are_channels_in_their_order():
    other = smooth_image(oblique_grid((16, 16, 16), seed=1), seed=5, sigma=2)
    known = Guidance(fixed_channels=(other, FIXED), moving_channels=(MOVING, MOVING))
    evidence = view().evidence(known)
    assert evidence.fixed.shape == (1, 3, 16, 16, 16)
    assert torch.equal(evidence.fixed[:, 2], evidence.fixed[:, 0])
    assert not torch.equal(evidence.fixed[:, 1], evidence.fixed[:, 0])


def test_intensities_go_from_0_to_1():
    for tensor in view().images():
        assert tensor.shape == (1, 1, 16, 16, 16)
        assert tensor.min() == 0
        assert tensor.max() == 1

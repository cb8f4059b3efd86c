"""A pair as tensors on its grids: in the right place, or refused in one line."""

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
from voltween.preprocessing import Preprocessing, coverage
from voltween.refinement import Level, Refinement
from voltween.registration import Guidance, Side
from voltween.registration.pair_view import PairView, SideView
from voltween.spatial import Grid, Image, LabelMap, Points

FIXED = smooth_image(oblique_grid((20, 18, 16), seed=1), seed=1, sigma=2)
MOVING = smooth_image(oblique_grid((18, 20, 16), seed=2), seed=2, sigma=2)
RULE = Preprocessing((16, 16, 16), (2.0, 2.0, 2.0))
LABELS = label_blocks(FIXED.grid), label_blocks(MOVING.grid)


def view(fixed=FIXED, moving=MOVING):
    return PairView(
        *(SideView.of(s, RULE, torch.device("cpu")) for s in (fixed, moving))
    )


def refinement(spacing_mm, shrink=1):
    return Refinement((Level(1, 1, 0.5, shrink),), spacing_mm=spacing_mm)


def elsewhere(grid):
    affine = grid.affine.copy()
    affine[:3, 3] += 500
    return Grid(grid.shape, affine)


def test_the_models_grid_is_kept_where_it_suits_the_refinement():
    plain = view()
    assert plain.for_refinement(refinement(None)) is plain
    assert plain.for_refinement(refinement(2.0)) is plain


def test_own_voxels_are_the_fixed_scans_along_right_anterior_superior():
    for order in STORAGE_ORDERS[::9]:
        finer = view(stored(FIXED, order)).for_refinement(refinement("own"))
        for grid in finer.grids:
            np.testing.assert_allclose(grid.spacing_mm, (1.1, 1.7, 2.3))
            assert grid.shape == (30, 19, 14)  # 32 mm, rounded up


def test_other_voxels_are_in_the_same_place_and_their_number_is_a_multiple():
    plain = view()
    for spacing_mm, shrink, shape in ((1.0, 1, 32), (1.5, 4, 24), (2.0, 3, 18)):
        finer = plain.for_refinement(refinement(spacing_mm, shrink))
        assert finer.grids.fixed.shape == finer.grids.moving.shape == (shape,) * 3
        for grid, before in zip(finer.grids, plain.grids, strict=True):
            np.testing.assert_allclose(grid.spacing_mm, spacing_mm)
            np.testing.assert_allclose(grid.center_mm, before.center_mm)


@pytest.mark.parametrize(("spacing_mm", "advice"), [(0.01, "wider"), (9.0, "narrower")])
def test_voxels_that_fill_the_memory_or_show_nothing_are_refused(spacing_mm, advice):
    with pytest.raises(InputError, match=rf"in all, got .*: give {advice} voxels$"):
        view().for_refinement(refinement(spacing_mm))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int64])
def test_structures_may_be_stored_in_any_whole_numbers(dtype):
    sides = (Side(labels=LabelMap(m.data.astype(dtype), m.grid)) for m in LABELS)
    pair = view().tensors(Guidance(*sides))
    assert pair.shared_labels == [1, 2, 7, 40]
    assert int((pair.fixed.labels == torch.tensor(7)).sum()) > 100


@pytest.mark.parametrize("order", STORAGE_ORDERS[::7])
def test_guidance_is_in_the_same_place_in_any_storage_order(order):
    """Masks, structures and landmarks have grids and orders of their own."""
    points = Points(random_points_mm(FIXED.grid, 5))
    mask = LabelMap(LABELS[0].data == 7, FIXED.grid)
    plain = Side(mask=mask, labels=LABELS[0], points=points)
    again = Side(stored(mask, order), stored(LABELS[0], order), points)
    expected = view().fixed.tensors(plain)
    tensors = view(stored(FIXED, order)).fixed.tensors(again)
    assert torch.allclose(tensors.mask, expected.mask, atol=1e-4)
    assert torch.allclose(tensors.points, expected.points, atol=1e-3)
    assert float((tensors.labels != expected.labels).float().mean()) < 1e-3


def test_landmarks_are_voxels_of_the_grid_of_their_side():
    points = [Points(random_points_mm(grid, 5)) for grid in (FIXED.grid, MOVING.grid)]
    pair = view().tensors(Guidance(*(Side(points=p) for p in points)))
    voxels = pair.fixed.points, pair.moving.points
    for grid, side, expected in zip(view().grids, voxels, points, strict=True):
        positions_mm = grid.voxel_to_world(side[0].numpy().astype(float))
        np.testing.assert_allclose(positions_mm, expected.mm, atol=1e-3)


MISPLACED = LabelMap(label_blocks(FIXED.grid).data, elsewhere(FIXED.grid))
ONE_VOXEL = LabelMap(np.indices(FIXED.grid.shape).sum(axis=0) == 0, FIXED.grid)
FAR = Points(random_points_mm(MOVING.grid, 3) + 500)
NEAR = Points(random_points_mm(FIXED.grid, 3))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ((Side(mask=MISPLACED), Side()), "^fixed: mask: expected whole voxels > 0"),
        ((Side(), Side(mask=MISPLACED)), "^moving: mask: expected whole voxels > 0"),
        ((Side(mask=ONE_VOXEL), Side()), "^fixed: mask: expected whole voxels > 0"),
        (
            (Side(labels=MISPLACED), Side(labels=LABELS[1])),
            "^fixed: labels: expected voxels > 0",
        ),
        (
            (Side(points=NEAR), Side(points=FAR)),
            "^moving: landmarks: expected some .* got all 3 outside",
        ),
    ],
)
def test_guidance_that_is_not_where_the_scan_is_is_refused(sides, message):
    with pytest.raises(InputError, match=message) as caught:
        view().tensors(Guidance(*sides))
    assert "\n" not in str(caught.value)


def test_a_landmark_beyond_the_grid_is_kept_where_others_are_on_it():
    mixed = Points(np.concatenate([random_points_mm(MOVING.grid, 2), FAR.mm[:1]]))
    pair = view().tensors(Guidance(Side(points=NEAR), Side(points=mixed)))
    assert pair.moving.points.shape == (1, 3, 3)


def test_a_constant_channel_is_named():
    flat = Image(np.full(MOVING.grid.shape, 4), MOVING.grid)
    sides = Side(channels=(FIXED, FIXED)), Side(channels=(MOVING, flat))
    with pytest.raises(InputError, match=r"^moving: channel 2: .*constant"):
        view().tensors(Guidance(*sides))


def test_channels_keep_their_order():
    other = smooth_image(oblique_grid((16, 16, 16), seed=1), seed=5, sigma=2)
    image = view().fixed.tensors(Side(channels=(other, FIXED))).image
    assert image.shape == (1, 3, 16, 16, 16)
    assert torch.equal(image[:, 2], image[:, 0])
    assert not torch.equal(image[:, 1], image[:, 0])


def test_intensities_go_from_0_to_1():
    for tensor in view().images():
        assert tensor.shape == (1, 1, 16, 16, 16)
        assert tensor.min() == 0
        assert tensor.max() == 1


def test_a_refinement_sees_no_edge_where_a_scan_ends():
    """Its border continues; the network sees the dark that it learned from."""
    scan = Image(FIXED.data + 5, FIXED.grid)
    side = view(scan, scan).fixed
    beyond = coverage(side.grid, by=scan.grid) == 0
    assert beyond.any()
    assert side.image[0, 0].numpy()[beyond].max() == 0
    seen = side.tensors(Side()).image[0, 0].numpy()
    assert seen[beyond].min() > 0.2
    assert np.ptp(seen[beyond]) < 1e-5


def test_a_scan_that_fills_the_grid_is_seen_as_the_network_sees_it():
    grid = Grid((40, 40, 40), np.eye(4))
    scan = smooth_image(grid, seed=4, sigma=2)
    side = view(scan, scan).fixed
    torch.testing.assert_close(side.tensors(Side()).image, side.image, rtol=0, atol=0)

"""Views of scans: which side is where, and what is seen."""

import numpy as np
import pytest

from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween.figures import (
    PLANES,
    Window,
    plane_view,
    square_views,
    structure_view,
    whole_views,
)
from voltween.spatial import Affine, Grid, Image, LabelMap

AXES = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "S": (2, 1)}
SIDES = {"left": np.s_[:, :3], "right": np.s_[:, -3:], "top": np.s_[:3]}
MAKERS = {
    "whole": lambda grid: whole_views(grid, 40),
    "square": lambda grid: square_views(grid, 40),
    "plane": lambda grid: [plane_view(p, grid, grid.center_mm) for p in PLANES],
}


@pytest.mark.parametrize("order", STORAGE_ORDERS[::11])
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("side", SIDES)
def test_each_side_of_a_view_is_the_one_it_is_named_for(maker, side, order):
    """A scan is bright in the outermost half towards a side, in any storage order."""
    grid = oblique_grid((16, 16, 16), spacing_mm=(2.0, 2.0, 2.0))
    for number, plane in enumerate(PLANES):
        axis, sign = AXES[getattr(plane, side)]
        towards = sign * (np.indices(grid.shape)[axis] - 7.5)
        scan = stored(Image(np.where(towards > 3, 100.0, 0.0), grid), order)
        labels = stored(LabelMap((towards > 3).astype(np.uint8), grid), order)
        view = MAKERS[maker](scan.grid)[number]
        assert view.plane == plane
        for seen in (view.gray(scan), view.mask(labels, 1)):
            assert (seen[SIDES[side]] > 0.9).mean() > 0.85
            assert seen.mean() < 0.5


@pytest.mark.parametrize(
    "order", [((0, 1, 2), (False,) * 3), ((2, 0, 1), (True, False, True))]
)
def test_a_structure_is_seen_where_it_is_largest_right_side_up(order):
    grid = oblique_grid((30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    data = np.zeros(grid.shape, np.uint8)
    data[4:26, 4:26, 12] = 1  # flat, in the axial plane
    data[24:26, 4:26, 12] = 0  # shorter to the right
    data[4:8, 24:26, 12] = 0  # and without its left anterior corner
    labels = stored(LabelMap(data, grid), order)
    view = structure_view(labels, 1)
    assert view.plane.top == "A"
    mask = view.mask(labels, 1)
    rows, columns = np.nonzero(mask)
    inside = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert not inside[0, 0]
    assert inside[0, -1]
    assert inside[-1, 0]


def test_places_in_a_view_are_mm_to_the_right_and_up():
    grid = oblique_grid((30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    data = np.zeros(grid.shape, np.uint8)
    data[10:20, 10:20, 12] = 1
    view = structure_view(LabelMap(data, grid), 1)
    step = grid.affine[:3, :3] @ [1.0, 2.0, 5.0]
    place = view.place((view.grid.center_mm + step)[None])
    assert np.allclose(place, [[2.0, 4.0]])


def test_a_whole_plane_is_centered_on_the_scan_at_the_height_of_a_position():
    grid = oblique_grid((30, 20, 16), spacing_mm=(2.0, 2.0, 2.0))
    step = grid.affine[:3, :3] @ [4.0, -3.0, 5.0]
    view = plane_view(PLANES[0], grid, grid.center_mm + step)
    assert view.half_mm == pytest.approx(29.0)
    up_mm = grid.affine[:3, :3] @ [0.0, 0.0, 5.0]
    np.testing.assert_allclose(view.grid.center_mm, grid.center_mm + up_mm, atol=1e-9)
    place = view.place((grid.center_mm + step)[None])
    np.testing.assert_allclose(place, [[8.0, -6.0]], atol=1e-9)


def test_square_views_are_around_the_scans_middle_and_all_of_it():
    grid = oblique_grid((15, 12, 10))
    for view in square_views(grid, 30):
        np.testing.assert_allclose(view.grid.center_mm, grid.center_mm, atol=1e-9)
        assert view.half_mm == pytest.approx(23.0 / 2)
        assert sorted(view.grid.shape) == [1, 30, 30]


def test_whole_views_are_as_large_as_the_scan_in_each_plane():
    grid = Grid((40, 30, 10), np.eye(4))
    shapes = [
        view.gray(Image(np.zeros(grid.shape), grid)).shape
        for view in whole_views(grid, 40)
    ]
    assert shapes == [(30, 40), (10, 40), (10, 30)]


def test_images_of_a_moved_scan_share_their_gray_levels():
    grid = oblique_grid((30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    data = np.zeros(grid.shape)
    data[:10], data[10:20], data[20:] = 0.0, 50.0, 100.0
    view = plane_view(PLANES[0], grid, grid.center_mm)
    shift = np.eye(4)
    shift[:3, 3] = grid.affine[:3, :3] @ [-16.0, 0.0, 0.0]  # the darker half alone
    scan = Image(data, grid)
    assert view.gray(scan).max() == pytest.approx(1.0)
    assert view.gray(scan, Affine(shift)).max() == pytest.approx(0.5)
    bright = view.gray(scan, window=Window(0.0, 50.0))
    assert (bright == 1).mean() > 0.6


@pytest.mark.parametrize("shape", [(1, 1, 1), (20, 20, 1), (1, 30, 4)])
def test_flat_scans_can_be_seen(shape):
    scan = Image(np.random.default_rng(0).random(shape), oblique_grid(shape))
    for make in MAKERS.values():
        assert all(np.isfinite(view.gray(scan)).all() for view in make(scan.grid))

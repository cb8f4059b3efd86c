"""Panels: views of structures, their masks and their colors."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from support.scans import oblique_grid, stored
from voltween.figures import PLANES
from voltween.figures.panels import (
    BOTH_COLOR,
    FIXED_COLOR,
    MOVED_COLOR,
    mask_colors,
    overlap_colors,
    shared_gray_levels,
    structure_view,
    whole_view,
)
from voltween.spatial import Affine, Image, LabelMap


def test_colors_tell_fixed_alone_from_moved_alone_and_both():
    fixed, moved = np.zeros((2, 4, 9), bool)
    fixed[:, 1:5], moved[:, 3:7] = True, True
    colors = overlap_colors(fixed, moved)
    expected = ["white", *[FIXED_COLOR] * 2, *[BOTH_COLOR] * 2, *[MOVED_COLOR] * 2]
    for column, color in enumerate([*expected, "white", "white"]):
        assert np.allclose(colors[:, column], to_rgb(color))


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


def test_masks_are_white_and_half_transparent_red_on_black():
    fixed, warped = np.zeros((2, 4, 9), bool)
    fixed[:, 1:5], warped[:, 3:7] = True, True
    colors = mask_colors(fixed, warped)[0].round(3).tolist()
    black, white, both, red = [0, 0, 0], [1, 1, 1], [0.95, 0.5, 0.5], [0.45, 0, 0]
    expected = [black, white, white, both, both, red, red, black, black]
    assert colors == expected


def test_a_whole_plane_is_centered_on_the_scan_at_the_height_of_a_position():
    grid = oblique_grid((30, 20, 16), spacing_mm=(2.0, 2.0, 2.0))
    step = grid.affine[:3, :3] @ [4.0, -3.0, 5.0]
    view = whole_view(PLANES[0], grid, grid.center_mm + step)
    assert view.half_mm == pytest.approx(29.0)
    up_mm = grid.affine[:3, :3] @ [0.0, 0.0, 5.0]
    np.testing.assert_allclose(view.grid.center_mm, grid.center_mm + up_mm, atol=1e-9)
    place = view.place((grid.center_mm + step)[None])
    np.testing.assert_allclose(place, [[8.0, -6.0]], atol=1e-9)


def test_sections_of_one_volume_share_their_gray_levels():
    grid = oblique_grid((30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    data = np.zeros(grid.shape)
    data[:15], data[15:] = 50.0, 100.0
    view = whole_view(PLANES[0], grid, grid.center_mm)
    shift = np.eye(4)
    shift[:3, 3] = grid.affine[:3, :3] @ [-16.0, 0.0, 0.0]  # the darker half alone
    both, dark = shared_gray_levels(
        view, Image(data, grid), [Affine.identity(), Affine(shift)]
    )
    assert both.max() == pytest.approx(1.0)
    assert dark.max() == pytest.approx(0.5)

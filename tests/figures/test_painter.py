"""The painter of slices: colors, outlines, and the names of sides."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from support.color_vision import VISIONS, difference
from voltween.figures import (
    BOTH_COLOR,
    FIXED_COLOR,
    FIXED_OUTLINE,
    FOLD_COLOR,
    MOVED_COLOR,
    MOVED_OUTLINE,
    PLANES,
    checker,
    draw_outlines,
    find_outlines,
    largest_structures,
    mask_colors,
    overlap_colors,
    paint_panel,
)
from voltween.figures.painter import color_labels, fuse

ORANGE = (255, 165, 0)


def test_colors_tell_fixed_alone_from_moved_alone_and_both():
    fixed, moved = np.zeros((2, 4, 9), bool)
    fixed[:, 1:5], moved[:, 3:7] = True, True
    colors = overlap_colors(fixed, moved)
    expected = ["white", *[FIXED_COLOR] * 2, *[BOTH_COLOR] * 2, *[MOVED_COLOR] * 2]
    for column, color in enumerate([*expected, "white", "white"]):
        assert np.allclose(colors[:, column], to_rgb(color))


def test_masks_are_white_and_half_transparent_red_on_black():
    fixed, warped = np.zeros((2, 4, 9), bool)
    fixed[:, 1:5], warped[:, 3:7] = True, True
    colors = mask_colors(fixed, warped)[0].round(3).tolist()
    black, white, both, red = [0, 0, 0], [1, 1, 1], [0.95, 0.5, 0.5], [0.45, 0, 0]
    expected = [black, white, white, both, both, red, red, black, black]
    assert colors == expected


def test_outline_is_the_outermost_pixels_of_the_chosen_labels():
    labels = np.zeros((7, 7), int)
    labels[1:4, 1:4], labels[5, 5] = 3, 4
    outlines = find_outlines(labels, [3])
    drawn = draw_outlines(np.zeros((7, 7, 3)), outlines, np.ones(3))
    expected = labels == 3
    expected[2, 2] = False
    np.testing.assert_array_equal(drawn[..., 0] == 1, expected)


def test_most_structures_that_are_outlined_are_the_largest():
    section = np.repeat(np.arange(40), np.arange(40))[None]
    assert largest_structures([section]) == list(range(39, 27, -1))


def test_what_agrees_is_gray_and_the_rest_green_or_magenta():
    fixed, moved = np.array([[0.0, 0.5, 1.0, 0.0]]), np.array([[0.0, 0.5, 0.0, 1.0]])
    expected = [[0, 0, 0], [0.5, 0.5, 0.5], [0, 1, 0], [1, 0, 1]]
    assert fuse(fixed, moved)[0].tolist() == expected


def test_a_checkerboard_begins_with_the_fixed_scan():
    board = checker(np.ones((16, 16)), np.zeros((16, 16)))[..., 0]
    assert board[:2, :4].tolist() == [[1, 1, 0, 0]] * 2
    assert board.mean() == 0.5


def test_every_label_has_a_color_of_its_own_and_the_background_none():
    labels = np.array([[0, 1, 2, 3], [9, 10, 1000, 0]])
    colors = color_labels(labels)
    assert (colors[labels == 0] == 0).all()
    assert len({tuple(c) for c in colors.reshape(-1, 3)}) == 7
    assert colors[labels > 0].max(axis=-1).min() > 0.9
    np.testing.assert_array_equal(color_labels(labels[:1]), colors[:1])


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"axis {plane.axis}")
def test_sides_are_named_at_the_left_the_right_and_the_top(plane):
    pixels = np.asarray(paint_panel(np.zeros((80, 100, 3)), plane)).astype(int)
    rows, columns = np.nonzero((np.abs(pixels - ORANGE) < 60).all(axis=-1))
    left, right = columns < 12, columns > 87
    assert rows[left].mean() == pytest.approx(40, abs=5)
    assert rows[right].mean() == pytest.approx(40, abs=5)
    top = ~left & ~right
    assert rows[top].max() < 16
    assert columns[top].mean() == pytest.approx(50, abs=5)


def test_letters_can_be_read_on_white():
    pixels = np.asarray(paint_panel(np.ones((80, 100, 3)), PLANES[0])).astype(int)
    assert (pixels[30:50, :14].max(axis=-1) < 80).sum() > 10


@pytest.mark.parametrize("vision", VISIONS)
def test_overlays_are_told_apart_in_any_color_vision(vision):
    """The difference is about nine times what is just noticeable, or more."""
    colors = {"fixed": FIXED_OUTLINE, "moved": MOVED_OUTLINE, "fold": FOLD_COLOR}
    for one, other in itertools.combinations(colors, 2):
        seen = difference(colors[one], colors[other], vision)
        assert seen > 20, (one, other)

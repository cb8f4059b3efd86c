"""Contours filled by the even-odd rule."""

import numpy as np
import pytest

from voltween.io.contours import fill

SHAPE = 30, 24
END = 14.5, 12.5


def filled(*contours):
    """The whole plane."""
    plane = np.zeros(SHAPE, bool)
    part = fill([np.array(contour, float) for contour in contours], SHAPE)
    plane[part.box] = part.is_inside
    return plane


def rectangle(low, high):
    """Its corners (i, j)."""
    return [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]


def blob(center, seed=0):
    """A star-shaped polygon with many corners."""
    generator = np.random.default_rng(seed)
    angles = np.sort(generator.uniform(0, 2 * np.pi, 40))
    radius = generator.uniform(3, 11, 40)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.array(center) + radius[:, None] * around


def winding(points, polygon):
    """Counts how often a polygon winds around points, by the sum of its angles."""
    arms = polygon[None] - points[:, None]
    angles = np.arctan2(arms[..., 1], arms[..., 0])
    turns = np.diff(angles, axis=1, append=angles[:, :1])
    return np.rint(((turns + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi))


@pytest.mark.parametrize("seed", range(7))  # of which no center is on an edge
def test_a_polygon_is_filled_where_it_winds_once(seed):
    polygon = blob((13.3, 11.7), seed)
    points = np.indices(SHAPE).reshape(2, -1).T.astype(float)
    expected = winding(points, polygon).reshape(SHAPE) != 0
    np.testing.assert_array_equal(filled(polygon), expected)
    np.testing.assert_array_equal(filled(polygon[::-1]), expected)


def test_holes_and_islands_by_the_even_odd_rule():
    outer, hole = (
        rectangle((2.5, 2.5), (20.5, 18.5)),
        rectangle((6.5, 6.5), (14.5, 12.5)),
    )
    island = rectangle((8.5, 8.5), (10.5, 10.5))
    plane = filled(outer, hole, island)
    expected = np.zeros(SHAPE, bool)
    expected[3:21, 3:19] = True
    expected[7:15, 7:13] = False
    expected[9:11, 9:11] = True
    np.testing.assert_array_equal(plane, expected)


def test_a_keyhole_is_a_hole():
    outer, inner = (
        rectangle((2.5, 2.5), (20.5, 18.5)),
        rectangle((6.5, 6.5), (14.5, 12.5)),
    )
    keyhole = [*outer, outer[0], *inner[::-1], inner[-1]]
    np.testing.assert_array_equal(filled(keyhole), filled(outer, inner))


def test_centers_on_a_contour_are_inside():
    expected = np.zeros(SHAPE, bool)
    expected[3:9, 4:8] = True
    np.testing.assert_array_equal(filled(rectangle((3, 4), (8, 7))), expected)
    noisy = np.add(rectangle((3, 4), (8, 7)), [1e-5, -1e-5])
    np.testing.assert_array_equal(filled(noisy), expected)


def test_what_lies_outside_of_the_plane_is_cut_off():
    assert filled(rectangle((-50, -50), (90, 90))).all()
    assert not filled(rectangle((40.5, 2), (50, 9))).any()
    expected = np.zeros(SHAPE, bool)
    expected[:5, 20:] = True
    np.testing.assert_array_equal(filled(rectangle((-1e6, 19.5), (4.5, 1e6))), expected)

"""Guidance of a pair: what both sides need, and the order of landmarks."""

import numpy as np
import pytest

from support.scans import label_blocks, oblique_grid, smooth_image
from voltween.errors import InputError
from voltween.registration import Guidance, Side
from voltween.spatial import LabelMap, Points

GRID = oblique_grid((12, 12, 12))
IMAGE = smooth_image(GRID)
LABELS = label_blocks(GRID)
POINTS = Points(np.arange(9.0).reshape(3, 3), ("a", "b", "c"))


def test_there_is_no_guidance_by_default():
    assert Guidance().is_empty
    assert not Guidance(fixed=Side(mask=LABELS)).is_empty
    assert not Guidance(moving=Side(mask=LABELS)).is_empty
    both = Side(channels=(IMAGE,))
    assert not Guidance(both, both).is_empty


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"fixed": Side(labels=LABELS)}, "labels of both scans, got only.* the fixed"),
        (
            {"moving": Side(points=POINTS)},
            "points of both scans, got only.* moving",
        ),
        ({"fixed": Side(channels=(IMAGE,))}, "as many channels .*, got 1 and 0"),
    ],
)
def test_guidance_that_only_one_side_has_is_refused(sides, message):
    with pytest.raises(InputError, match=message):
        Guidance(**sides)


def test_structures_have_to_have_a_number_in_common():
    other = LabelMap((LABELS.data > 0) * 99, GRID)
    with pytest.raises(InputError, match="label"):
        Guidance(Side(labels=LABELS), Side(labels=other))


def test_landmarks_of_the_same_names_are_paired_by_name():
    shuffled = Points(POINTS.mm[[2, 0, 1]] + 5, ("c", "a", "b"))
    sides = Side(points=POINTS), Side(mask=LABELS, points=shuffled)
    moving = Guidance(*sides).moving
    np.testing.assert_array_equal(moving.points.mm, POINTS.mm + 5)
    assert moving.points.names == POINTS.names
    assert moving.mask is LABELS
    assert sides[1].points is shuffled


@pytest.mark.parametrize("names", [(), ("x", "y", "z"), ("a", "a", "b")])
def test_other_landmarks_are_paired_by_their_order(names):
    other = Points(POINTS.mm + 5, names)
    assert Guidance(Side(points=POINTS), Side(points=other)).moving.points is other


def test_both_sides_need_as_many_landmarks():
    with pytest.raises(InputError, match=r"as many points .*, got 3 and 2"):
        Guidance(Side(points=POINTS), Side(points=Points(POINTS.mm[:2])))

"""What is known of a pair: both sides of it, in one order."""

import numpy as np
import pytest

from support.scans import label_blocks, oblique_grid, smooth_image
from voltween.errors import InputError
from voltween.registration import Guidance
from voltween.spatial import LabelMap, Points

GRID = oblique_grid((12, 12, 12))
POINTS = Points(np.arange(9.0).reshape(3, 3), ("a", "b", "c"))


def test_nothing_is_known_by_default():
    assert Guidance().is_empty
    assert not Guidance(fixed_mask=label_blocks(GRID)).is_empty
    image = smooth_image(GRID)
    assert not Guidance(fixed_channels=(image,), moving_channels=(image,)).is_empty


@pytest.mark.parametrize(
    "given",
    [
        {"fixed_labels": label_blocks(GRID)},
        {"moving_points": POINTS},
        {"fixed_channels": (smooth_image(GRID),)},
    ],
)
def test_what_one_side_alone_has_is_refused(given):
    with pytest.raises(InputError, match=r"both scans|as many"):
        Guidance(**given)


def test_structures_have_to_have_a_number_in_common():
    other = LabelMap((label_blocks(GRID).data > 0) * 99, GRID)
    with pytest.raises(InputError, match="a label that occurs in both"):
        Guidance(fixed_labels=label_blocks(GRID), moving_labels=other)


def test_landmarks_of_the_same_names_go_by_name():
    shuffled = Points(POINTS.mm[[2, 0, 1]] + 5, ("c", "a", "b"))
    known = Guidance(fixed_points=POINTS, moving_points=shuffled)
    np.testing.assert_array_equal(known.moving_points.mm, POINTS.mm + 5)
    assert known.moving_points.names == POINTS.names


@pytest.mark.parametrize("names", [(), ("x", "y", "z"), ("a", "a", "b")])
def test_other_landmarks_go_by_their_order(names):
    other = Points(POINTS.mm + 5, names)
    known = Guidance(fixed_points=POINTS, moving_points=other)
    assert known.moving_points is other


def test_landmarks_have_to_be_as_many():
    with pytest.raises(InputError, match="as many, got 3 and 2"):
        Guidance(fixed_points=POINTS, moving_points=Points(POINTS.mm[:2]))

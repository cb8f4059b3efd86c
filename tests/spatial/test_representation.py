"""Short texts of things, as an interpreter shows them."""

import numpy as np
import pytest

from support.scans import stored
from voltween.spatial import (
    Affine,
    Composite,
    DisplacementField,
    Grid,
    Image,
    LabelMap,
    MultichannelImage,
    Points,
    SplineField,
)

PSR = np.array([[0, 0, 2.0, 9], [2.0, 0, 0, -4], [0, 2.0, 0, 7], [0, 0, 0, 1]])
GRID = Grid((6, 5, 4), PSR)
UNEQUAL = Grid((6, 5, 4), PSR @ np.diag([0.5, 1, 1.25, 1]))
ZEROS = np.zeros(GRID.shape)
FIELD = DisplacementField(GRID, np.zeros((6, 5, 4, 3)))
TO_THE_RIGHT = Affine(np.eye(4) + np.eye(4, k=3) * 1.23456)


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (GRID, "<Grid 6x5x4, 2 mm, ASR>"),
        (UNEQUAL, "<Grid 6x5x4, 1x2x2.5 mm, ASR>"),
        (Image(ZEROS, GRID), "<Image 6x5x4, 2 mm, ASR>"),
        (stored(Image(ZEROS, GRID), ((2, 0, 1), (True, False, True))), None),
        (LabelMap(ZEROS.astype(np.uint8), GRID), "<LabelMap 6x5x4, 2 mm, ASR, uint8>"),
        (
            MultichannelImage(np.zeros((6, 5, 4, 3)), GRID, "colors"),
            "<MultichannelImage 6x5x4, 2 mm, ASR, 3 colors>",
        ),
        (Points(np.zeros((3, 3))), "<Points 3>"),
        (Points(np.zeros((2, 3)), ("nose", "chin")), "<Points 2, named>"),
        (FIELD, "<DisplacementField 6x5x4, 2 mm, ASR>"),
        (SplineField(GRID, FIELD.vectors_mm), "<SplineField 6x5x4, 2 mm, ASR>"),
        (TO_THE_RIGHT @ FIELD, "<Composite of Affine, DisplacementField>"),
        (
            TO_THE_RIGHT,
            "<Affine [[1.0, 0.0, 0.0, 1.235], [0.0, 1.0, 0.0, 0.0], "
            "[0.0, 0.0, 1.0, 0.0]]>",
        ),
    ],
)
def test_a_thing_says_in_short_what_it_is(thing, text):
    assert repr(thing) == (text or "<Image 4x6x5, 2 mm, LAI>")


def test_the_text_of_a_large_thing_costs_nothing():
    """No voxel is looked at: these have none in memory."""
    data = np.broadcast_to(np.uint8(1), (2000, 2000, 2000))
    labels = object.__new__(LabelMap)
    object.__setattr__(labels, "data", data)
    object.__setattr__(labels, "grid", Grid(data.shape, np.eye(4)))
    assert repr(labels) == "<LabelMap 2000x2000x2000, 1 mm, RAS, uint8>"


def test_a_composite_of_two_says_both():
    both = Composite((TO_THE_RIGHT, FIELD))
    assert repr(both) == repr(TO_THE_RIGHT @ FIELD)

"""Guidance of a pair: what both sides need, and the order of landmarks."""

import warnings

import numpy as np
import pytest

from support.scans import label_blocks, oblique_grid, smooth_image
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.registration import Guidance, Side
from voltween.registration.guidance import check_masks_meet
from voltween.spatial import Affine, LabelMap, Points

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


def test_landmarks_without_names_are_paired_by_their_order():
    other = Points(POINTS.mm + 5)
    assert Guidance(Side(points=POINTS), Side(points=other)).moving.points is other


@pytest.mark.parametrize(
    ("moving", "message"),
    [
        (Points(POINTS.mm[:2]), "as many fixed as moving ones, got 3 fixed and 2"),
        (Points(POINTS.mm, ("x", "y", "z")), r"in common, got a, b, c and x, y, z"),
        (Points(POINTS.mm, ("a", "a", "b")), "'a' twice among the moving"),
        (Points(POINTS.mm, ("a", "b", " C")), "alike .*, got 'c' .* and ' C' of the m"),
    ],
)
def test_landmarks_that_do_not_correspond_are_refused_as_in_measurements(
    moving, message
):
    with pytest.raises(InputError, match=message):
        Guidance(Side(points=POINTS), Side(points=moving))


def test_landmarks_without_a_partner_are_named_and_left_out():
    moving = Points(POINTS.mm + 5, ("c", "a", "d"))
    with pytest.warns(SuspiciousInputWarning, match="b of the fixed .* d of the mov"):
        guidance = Guidance(Side(points=POINTS), Side(points=moving))
    assert guidance.fixed.points.names == guidance.moving.points.names == ("a", "c")
    np.testing.assert_array_equal(guidance.moving.points.mm, moving.mm[[1, 0]])
    np.testing.assert_array_equal(guidance.fixed.points.mm, POINTS.mm[[0, 2]])


def test_masks_that_do_not_meet_after_the_registration_get_a_warning():
    shift = np.eye(4)
    shift[:3, 3] = 500
    sides = Side(mask=LABELS), Side(mask=LABELS)
    with pytest.warns(SuspiciousInputWarning, match="no voxel of the fixed mask"):
        check_masks_meet(Guidance(*sides), Affine(shift))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_masks_meet(Guidance(*sides), Affine.identity())
        check_masks_meet(Guidance(sides[0]), Affine(shift))

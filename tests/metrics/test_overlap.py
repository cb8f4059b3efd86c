"""Overlap of labels: definitions, and maps that cannot be compared."""

import math
import warnings

import numpy as np
import pytest

from voltween.errors import InputError, SuspiciousInputWarning
from voltween.metrics import (
    dice_per_label,
    iou_from_dice,
    iou_of_union,
    warn_if_nothing_overlaps,
)
from voltween.metrics.overlap import check_same_shape


def test_dice_by_hand():
    fixed = np.array([[[1, 1, 1, 0, 2, 2]]])
    moved = np.array([[[0, 1, 1, 1, 2, 3]]])
    assert dice_per_label(fixed, moved) == {1: 4 / 6, 2: 2 / 3, 3: 0.0}


def test_dice_and_iou_equal_the_definitions_on_random_maps():
    rng = np.random.default_rng(0)
    fixed, moved = rng.integers(0, 4, (2, 9, 8, 7))
    for label, dice in dice_per_label(fixed, moved).items():
        f, m = fixed == label, moved == label
        assert dice == pytest.approx(2 * (f & m).sum() / (f.sum() + m.sum()))
        assert iou_from_dice(dice) == pytest.approx((f & m).sum() / (f | m).sum())


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [-5, 0, 7], [0, 2**40, 2**62], [0, 9**5]]
)
def test_labels_of_any_range_are_counted(labels):
    rng = np.random.default_rng(0)
    fixed, moved = np.array(labels)[rng.integers(0, len(labels), (2, 6, 5, 4))]
    dice = dice_per_label(fixed, moved)
    assert list(dice) == [label for label in labels if label != 0]
    for label, value in dice.items():
        f, m = fixed == label, moved == label
        assert value == 2 * (f & m).sum() / (f.sum() + m.sum())


def test_the_highest_labels_are_not_rounded():
    fixed = np.array([[[2**63, 2**63 + 1]]], np.uint64)
    assert dice_per_label(fixed, fixed[..., ::-1]) == {2**63: 0.0, 2**63 + 1: 0.0}


def test_union_of_labels_is_one_structure():
    fixed = np.array([[[1, 1, 1, 0, 2, 2, 0]]])
    moved = np.array([[[0, 2, 1, 1, 2, 3, 0]]])
    assert iou_of_union(fixed, moved) == 4 / 6
    one = np.array([[[0, 1, 1, 1, 0, 1, 0]]])
    dice = dice_per_label(np.minimum(fixed, 1), one)[1]
    assert iou_of_union(fixed, one) == pytest.approx(iou_from_dice(dice))
    assert math.isnan(iou_of_union(fixed * 0, moved * 0))


def test_structures_of_which_none_overlaps_get_a_warning():
    with pytest.warns(SuspiciousInputWarning, match="a to b: none of 2 structures"):
        warn_if_nothing_overlaps([0.0, 0.0], name="a to b")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_nothing_overlaps([0.0, 0.01], name="a to b")
        warn_if_nothing_overlaps([], name="a to b")


def test_maps_of_different_types_are_compared():
    fixed = np.ones((2, 2, 2), np.uint8)
    assert dice_per_label(fixed, fixed.astype(np.int32)) == {1: 1.0}


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(InputError, match=r"on one grid, got shapes \(2, 2, 2\) and"):
        check_same_shape(np.ones((2, 2, 2), int), np.ones((2, 2, 3), int))


def test_a_thousand_labels_are_counted_in_one_pass(monkeypatch):
    fixed, moved = np.random.default_rng(0).integers(0, 1001, (2, 5, 40, 30))
    expected = dice_per_label(fixed, moved)
    counted = []

    def count(voxels, **options):
        counted.append(voxels.size)
        return bincount(voxels, **options)

    bincount = np.bincount
    monkeypatch.setattr(np, "bincount", count)
    assert dice_per_label(fixed, moved) == expected
    assert len(expected) > 900
    assert sum(counted) <= 3 * fixed.size  # in fixed, in moved, and in both


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
def test_sizes_are_those_of_single_counts_wherever_the_labels_lie(dtype):
    rng = np.random.default_rng(3)
    fixed, moved = np.zeros((2, 9, 8, 7), dtype)
    fixed[2:5, 1:4, 3:] = rng.integers(0, 4, (3, 3, 4))
    moved[4:, 3:7, :5] = rng.integers(0, 5, (5, 4, 5))
    counted = {
        int(label): 2
        * int(((fixed == label) & (moved == label)).sum())
        / (int((fixed == label).sum()) + int((moved == label).sum()))
        for label in set(np.unique(fixed)) | set(np.unique(moved)) - {0}
        if label
    }
    assert dice_per_label(fixed, moved) == counted

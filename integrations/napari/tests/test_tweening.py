"""Frames of the tweening: the stages themselves, and a way between them."""

import numpy as np
import pytest

import voltween as vt
from napari_voltween import tweening as module
from napari_voltween.tweening import Tweening
from voltween.registration import Registration, TweeningStage
from voltween.spatial import reorder_volume_to_ras

GRID = vt.Grid((16, 14, 12), np.diag([-1.5, 2.0, 2.0, 1.0]))
BALL = np.exp(-((GRID.voxel_centers_mm() - GRID.center_mm) ** 2).sum(-1) / 12)
SCAN = vt.Image(100 * BALL, GRID)


def shift(mm):
    matrix = np.eye(4)
    matrix[0, 3] = mm
    return vt.Affine(matrix)


RESULT = Registration(
    SCAN,
    SCAN,
    "some",
    shift(0),
    (TweeningStage("affine", shift(4)), TweeningStage("dense 1", shift(6))),
    {},
)


def center_mm(image):
    """R coordinate of the center of mass, mm."""
    places = image.grid.voxel_centers_mm()[..., 0]
    return (places * image.data).sum() / image.data.sum()


@pytest.mark.parametrize(
    ("position", "mm"), [(0, 0), (0.5, 2), (1, 4), (1.5, 5), (2, 6)]
)
def test_the_scan_moves_on_between_the_stages(position, mm):
    moved = center_mm(SCAN) - center_mm(Tweening(RESULT).frame(position))
    assert moved == pytest.approx(mm, abs=0.35)


def test_the_last_frame_is_the_moved_scan():
    tweening = Tweening(RESULT)
    assert tweening.last == 2
    last = tweening.frame(tweening.last).data
    moved = reorder_volume_to_ras(RESULT.moved)
    assert tweening.grid.is_close(moved.grid)
    np.testing.assert_allclose(last, moved.data, atol=1e-3)
    assert np.array_equal(tweening.frame(7.0).data, last)
    assert np.array_equal(tweening.frame(-1.0).data, tweening.frame(0).data)


def test_a_position_has_a_name():
    names = [Tweening(RESULT).name_at(position) for position in (0, 0.5, 1, 2)]
    assert names == ["before", "before to affine", "affine", "dense 1"]


def test_frames_of_a_large_scan_are_coarser_and_in_its_place(monkeypatch):
    monkeypatch.setattr(module, "_MOST_VOXELS", 500)
    grid = Tweening(RESULT).grid
    assert np.prod(grid.shape) < 800
    np.testing.assert_allclose(grid.center_mm, GRID.center_mm, atol=1e-6)
    assert center_mm(SCAN) - center_mm(Tweening(RESULT).frame(1)) == pytest.approx(
        4, abs=1
    )

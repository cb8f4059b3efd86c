"""Scans that were cut out of larger ones, and those that only look like it."""

import numpy as np
import pytest

from support.stripped_heads import GRID, brain, head
from voltween.preprocessing import find_cut_out
from voltween.spatial import Image


def test_a_stripped_brain_was_cut_out_and_a_head_was_not():
    stripped = brain()
    cut = find_cut_out(stripped)
    voxel_mm3 = float(GRID.spacing_mm.prod())
    shown = stripped.data != 0
    assert cut.volume_mm3 == pytest.approx(shown.sum() * voxel_mm3, rel=0.02)
    np.testing.assert_array_equal(cut.mask(stripped).data, shown)
    assert find_cut_out(head()) is None


def test_the_air_around_a_head_may_be_zero():
    scan = head()
    assert (scan.data[0] == scan.data[0, 0, 0]).all()
    assert find_cut_out(scan) is None


@pytest.mark.parametrize("background", [-1024.0, 0.0, 37.0])
def test_the_background_may_have_any_value(background):
    data = np.where(brain().data > 0, 1000 + brain().data, background)
    assert find_cut_out(Image(data, GRID)).background == background


def test_noise_around_a_brain_is_no_background():
    noise = np.random.default_rng(0).uniform(0, 5, GRID.shape)
    assert find_cut_out(Image(brain().data + noise, GRID)) is None


def test_constant_scans_and_scans_that_fill_their_grid_were_not_cut():
    assert find_cut_out(Image(np.zeros(GRID.shape), GRID)) is None
    filled = Image(np.random.default_rng(0).uniform(1, 2, GRID.shape), GRID)
    assert find_cut_out(filled) is None

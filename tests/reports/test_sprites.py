"""Volumes survive the way into a picture."""

import numpy as np
import pytest

from support.reports import read_sprite
from voltween.reports.sprites import exact_sprite, sprite


@pytest.mark.parametrize("shape", [(7, 5, 11), (2, 2, 2), (30, 3, 2), (5, 4, 6, 3)])
def test_bytes_are_kept(shape):
    volume = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(read_sprite(exact_sprite(volume)), volume)


def test_gray_levels_are_kept_but_for_a_few():
    axes = np.indices((24, 20, 16))
    volume = (axes.sum(axis=0) * 4).astype(np.uint8)
    error = np.abs(read_sprite(sprite(volume)).astype(int) - volume)
    assert error.mean() < 3
    assert len(sprite(volume).uri) < volume.size

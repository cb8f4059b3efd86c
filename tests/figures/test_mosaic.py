"""Mosaics: a long title is not cut at the sides of a narrow picture."""

import numpy as np

from voltween.figures import paint_mosaic
from voltween.figures.painter import font


def test_a_picture_is_wide_enough_for_its_title():
    title = "a title that is longer than two narrow columns are wide"
    columns = {name: [np.zeros((20, 20, 3))] * 3 for name in ("fixed", "moving")}
    picture = np.asarray(paint_mosaic(title, columns))
    dark = (picture[:34].min(axis=-1) < 128).any(axis=0)
    first, last = np.flatnonzero(dark)[[0, -1]]
    assert last - first > 0.9 * font(16).getlength(title)
    assert first > 0
    assert last < picture.shape[1] - 1

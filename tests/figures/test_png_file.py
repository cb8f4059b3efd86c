"""Pictures are kept to the last bit in PNG files that any reader reads."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Picture

from voltween.figures import png


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (1, 9, 3), (30, 20, 3), (2, 1, 3)])
def test_pixels_are_kept(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with Picture.open(BytesIO(png(pixels))) as picture:
        picture.verify()  # checksums
    with Picture.open(BytesIO(png(pixels))) as picture:
        assert picture.format == "PNG"
        assert picture.mode == ("L" if len(shape) == 2 else "RGB")
        assert np.array_equal(np.asarray(picture), pixels)


def test_pixels_may_lie_in_any_order():
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)[::-1, ::-1]
    with Picture.open(BytesIO(png(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels)


def test_even_areas_are_small():
    assert len(png(np.full((500, 500, 3), 7, np.uint8))) < 10_000

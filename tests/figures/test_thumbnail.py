"""Thumbnails: which side is which, and what agrees."""

import numpy as np
import pytest
from PIL import Image as Picture

from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween.figures import write_thumbnail
from voltween.figures.thumbnail import THUMBNAIL_SIDE
from voltween.spatial import Affine, Image

GRID = oblique_grid((20, 18, 16), spacing_mm=(2.0, 2.0, 2.0))


def bright_towards(axis):
    return Image(100.0 * (np.indices(GRID.shape)[axis] >= GRID.shape[axis] // 2), GRID)


def panels(path):
    """Axial, coronal and sagittal as float RGB, a square each."""
    with Picture.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    assert pixels.shape == (THUMBNAIL_SIDE, 3 * THUMBNAIL_SIDE, 3)
    return np.split(pixels, 3, axis=1)


def center(panel):
    """Place of the brightness, to the right of and above the middle, -1 to 1."""
    weights = panel.mean(axis=-1) / max(panel.mean(axis=-1).sum(), 1)  # may be black
    places = np.linspace(-1, 1, THUMBNAIL_SIDE)
    return weights.sum(axis=0) @ places, -(weights.sum(axis=1) @ places)


@pytest.mark.parametrize("order", STORAGE_ORDERS[::9])
@pytest.mark.parametrize(
    ("axis", "right", "up"),
    [(0, (0, 1), ()), (1, (2,), (0,)), (2, (), (1, 2))],  # panels in which it is so
)
def test_right_anterior_and_superior_are_right_and_up(tmp_path, axis, right, up, order):
    scan = stored(bright_towards(axis), order)
    write_thumbnail(scan, scan, tmp_path / "t.webp")
    for number, panel in enumerate(panels(tmp_path / "t.webp")):
        to_right, upwards = center(panel)
        assert (to_right > 0.2) == (number in right)
        assert (upwards > 0.2) == (number in up)


def test_what_agrees_is_gray_and_what_does_not_is_colored(tmp_path):
    fixed, moving = bright_towards(0), bright_towards(1)
    write_thumbnail(fixed, fixed, tmp_path / "same.webp")
    write_thumbnail(fixed, moving, tmp_path / "other.webp")
    same, other = (panels(tmp_path / f"{n}.webp")[0] for n in ("same", "other"))
    assert np.ptp(same, axis=-1).max() < 40
    front_left, back_right = other[25:40, 25:40], other[60:70, 60:70]
    red, green, blue = front_left.mean(axis=(0, 1))
    assert min(red, blue) > green + 150
    red, green, blue = back_right.mean(axis=(0, 1))
    assert green > max(red, blue) + 150


def test_the_transform_moves_the_moving_scan(tmp_path):
    fixed, shift = bright_towards(0), np.eye(4)
    shift[:3, 3] = 40.0, -70.0, 25.0
    far = np.linalg.inv(shift) @ GRID.affine
    moving = Image(fixed.data, type(GRID)(GRID.shape, far))
    back = Affine(np.linalg.inv(shift))
    write_thumbnail(fixed, moving, tmp_path / "t.webp", fixed_to_moving=back)
    assert np.ptp(panels(tmp_path / "t.webp")[0], axis=-1).max() < 40


def test_a_thumbnail_is_small(tmp_path):
    data = np.random.default_rng(0).random((24, 24, 24))
    scan = Image(data, oblique_grid(data.shape))
    write_thumbnail(scan, scan, tmp_path / "t.webp")
    panels(tmp_path / "t.webp")
    assert (tmp_path / "t.webp").stat().st_size < 10_000


@pytest.mark.parametrize("shape", [(40, 40, 1), (1, 1, 1), (3, 60, 5)])
def test_flat_scans_have_a_thumbnail(tmp_path, shape):
    scan = Image(np.random.default_rng(0).random(shape), oblique_grid(shape))
    write_thumbnail(scan, scan, tmp_path / "t.webp")
    assert len(panels(tmp_path / "t.webp")) == 3

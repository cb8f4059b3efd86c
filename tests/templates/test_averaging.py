"""Averages of scans, voxel by voxel."""

import shutil

import numpy as np
import pytest
from scipy.stats import trim_mean

from support.scans import oblique_grid, smooth_image
from voltween import io
from voltween.errors import OutputError
from voltween.spatial import Affine, Grid, Image
from voltween.templates import (
    AlignedScan,
    average_of,
    average_scans,
    sharpened,
    survey_image,
)

GRID = oblique_grid((12, 11, 10), 3)


def aligned(folder, name, image, transform=None):
    """A scan of a folder, with its transform."""
    path = folder / f"{name}.nii.gz"
    io.write(image, path)
    surveyed = survey_image(io.read(path))
    return AlignedScan(path, surveyed, lambda: transform or Affine.identity())


def test_averages_are_those_of_numpy_and_scipy():
    values = np.random.default_rng(0).normal(size=(11, 4, 5)).astype(np.float32)
    assert np.allclose(average_of(values, "mean"), values.mean(axis=0), atol=1e-6)
    assert np.allclose(average_of(values, "median"), np.median(values, axis=0))
    trimmed = trim_mean(values, 0.2, axis=0)
    assert np.allclose(average_of(values, "trimmed"), trimmed, atol=1e-6)
    even = average_of(values[:6], "median")
    assert np.allclose(even, np.median(values[:6], axis=0))


@pytest.mark.parametrize("average", ["mean", "trimmed", "median"])
def test_scans_that_do_not_show_a_voxel_have_no_part_in_it(average):
    values = np.array([[1, 3, 1], [3, np.nan, np.nan], [2, 3, np.nan]], np.float32)
    values[:, 2] = np.nan
    assert average_of(values, average).tolist() == [2, 3, 0]


@pytest.mark.parametrize("average", ["trimmed", "median"])
def test_an_outlier_has_no_part_in_robust_averages(average):
    values = np.ones((6, 10), np.float32)
    values[2] = 1000
    assert (average_of(values, average) == 1).all()


def test_scans_of_other_brightness_have_the_same_part(tmp_path):
    """Scans that differ in gain alone: their mean is each of them, normalized."""
    image = smooth_image(GRID, 1)
    gains = {"dark": 1.0, "bright": 20.0}
    scans = [
        aligned(tmp_path, name, Image(gain * image.data, GRID))
        for name, gain in gains.items()
    ]
    mean = average_scans(scans, GRID, "mean", tmp_path)
    alone = average_scans(scans[:1], GRID, "mean", tmp_path)
    assert np.allclose(mean.data, alone.data, atol=1e-5)
    assert np.corrcoef(mean.data.ravel(), image.data.ravel())[0, 1] > 0.99999
    assert 0.9 < np.percentile(mean.data, 98) < 1.1


def test_ct_keeps_its_units(tmp_path):
    data = ct()
    scans = [aligned(tmp_path, "ct", Image(data, GRID))]
    scans.append(aligned(tmp_path, "offset", Image(data + 1000, GRID)))
    assert np.allclose(
        average_scans(scans, GRID, "mean", tmp_path).data, data, atol=0.01
    )


def ct(grid=GRID):
    """A body of water with some bone in air, in Hounsfield units."""
    data = np.full(grid.shape, -1000.0)
    data[3:9, 3:9, 3:9], data[5, 5, 5:7] = 40, 900
    return data + np.random.default_rng(0).uniform(0, 9, grid.shape)


def test_what_no_ct_shows_is_air_and_not_water(tmp_path):
    wide = Grid((18, 11, 10), GRID.affine)
    mean = average_scans(
        [aligned(tmp_path, "ct", Image(ct(), GRID))], wide, "mean", tmp_path
    )
    assert (mean.data[-5:] == -1000).all()
    assert mean.data[5, 5, 5] > 800


def test_padding_of_a_ct_is_air(tmp_path):
    data = ct()
    data[:2] = -3024
    mean = average_scans(
        [aligned(tmp_path, "ct", Image(data, GRID))], GRID, "mean", tmp_path
    )
    assert (mean.data[:2] == -1000).all()


def test_too_little_room_is_an_error_before_the_work(tmp_path, monkeypatch):
    """A mapped file that finds no room ends the process without a word."""
    scans = [aligned(tmp_path, "one", smooth_image(GRID))]
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(OutputError, match="free space"):
        average_scans(scans, GRID, "mean", tmp_path)


def test_nothing_is_left_of_the_room_for_the_scans(tmp_path):
    average_scans(
        [aligned(tmp_path, "one", smooth_image(GRID))], GRID, "mean", tmp_path
    )
    assert [path.name for path in tmp_path.iterdir()] == ["one.nii.gz"]


def test_sharpening_enhances_edges_within_the_range():
    image = smooth_image(GRID, 2)
    sharp = sharpened(image, 0.5)
    assert np.array_equal(sharpened(image, 0.0).data, image.data)
    edges = [np.abs(np.diff(each.data, axis=0)).mean() for each in (image, sharp)]
    assert edges[1] > 1.05 * edges[0]
    assert sharp.data.max() <= image.data.max()

"""Padding around a scan that was turned and resampled."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from support.textured import head
from voltween.preprocessing import without_padding
from voltween.spatial import Affine, Grid, Image

TURNS = [[0, 0, 0], [20, -35, 50], [90, 45, 10]]
SHAPES = [(24, 32, 40), (24, 24, 40), (24, 40, 40)]


def crop(shape):
    """A crop full of tissue, on voxels of 1 mm, and a pose about its center."""
    rng = np.random.default_rng(0)
    return Image(rng.uniform(50, 100, shape), Grid(shape, np.eye(4)))


def turned(scan, turn, padding=0.0):
    """The scan turned by angles in degrees and resampled once, and the pose."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    placed = Grid(scan.grid.shape, matrix @ scan.grid.affine)
    corners = placed.corners_mm()
    affine = np.eye(4)
    affine[:3, 3] = corners.min(axis=0) - 3
    i, j, k = (int(n) + 7 for n in np.ceil(np.ptp(corners, axis=0)))
    shifted = Image(scan.data - padding, placed)
    moved = Affine.identity().resample(shifted, onto=Grid((i, j, k), affine))
    return Image(moved.data + padding, moved.grid), Affine(matrix)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_turned_crop_is_cut_out_in_its_place(shape, turn):
    scan = crop(shape)
    image, pose = turned(scan, turn)
    found = without_padding(image)
    center = pose.map_positions(scan.grid.center_mm[None])[0]
    np.testing.assert_allclose(found.grid.center_mm, center, atol=0.5)
    assert np.abs(np.sort(found.grid.shape) - np.sort(shape)).max() <= 3
    assert found.data.min() > 40
    # Its voxels show what the scan has there, but for the smoothing.
    back = pose.inverse().map_positions(found.grid.voxel_centers_mm().reshape(-1, 3))
    assert (back > 0).all()
    assert (back < np.array(shape) - 1).all()


def test_any_padding_value_is_recognized():
    image, _ = turned(crop(SHAPES[0]), TURNS[1], padding=-1024.0)
    assert without_padding(image).grid.shape != image.grid.shape


def test_what_was_cut_out_has_no_padding():
    image, _ = turned(crop(SHAPES[0]), TURNS[1])
    once = without_padding(image)
    assert without_padding(once) is once


def test_a_scan_without_padding_stays_as_it_is():
    scan = crop(SHAPES[0])
    assert without_padding(scan) is scan


def test_a_dark_background_is_no_padding():
    scan = head()
    stripped = Image(
        np.where(scan.data > 0.2 * scan.data.max(), scan.data, 0), scan.grid
    )
    padded = Image(np.pad(stripped.data, 6), scan.grid.pad(6))
    for image in (stripped, padded, turned(stripped, TURNS[1])[0]):
        assert without_padding(image) is image


def test_a_single_plane_that_is_not_background_is_no_scan_with_padding():
    disk = np.hypot(*(np.indices((40, 40)) - 19.5)) < 18
    data = np.zeros((40, 40, 40))
    data[:, :, 20] = disk
    scan = Image(data, Grid(data.shape, np.eye(4)))
    assert without_padding(scan) is scan


def test_a_constant_scan_and_air_around_a_body_are_no_padding():
    grid = Grid((40, 40, 40), np.eye(4))
    scan = Image(np.full((40, 40, 40), -1024.0), grid)
    assert without_padding(scan) is scan
    distance = np.linalg.norm((np.indices((40, 40)) - 19.5).T / (19, 14), axis=-1)
    body = np.where(distance.T < 1, 40.0, -1024.0)
    data = np.repeat(body[:, :, None], 40, axis=2)
    scan = Image(data, grid)
    assert without_padding(scan) is scan


def test_thick_slices_stay_thick_where_border_planes_are_empty():
    data = np.pad(crop((40, 52, 24)).data, ((4, 4), (4, 4), (1, 1)))
    affine = np.diag([-1.0, 1.0, 2.0, 1.0])
    scan = Image(data, Grid(data.shape, affine))
    found = without_padding(scan)
    assert np.sort(found.grid.spacing_mm).tolist() == pytest.approx([1, 1, 2], rel=0.02)
    assert found.data.size < data.size
    assert found.data.min() > 40

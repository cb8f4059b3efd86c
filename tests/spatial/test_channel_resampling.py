"""Images of several numbers per voxel: resampling, types, turned vectors."""

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from support.itk_tools import itk_affine, itk_image, itk_resampled
from support.scans import FIXED, MOVING, TO_MOVING, smooth_field
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial import (
    Affine,
    MultichannelImage,
    Sampling,
    grid_around,
    resample_channels,
    with_spacing,
)

RANDOM = np.random.default_rng(0)
SHAPE = MOVING.grid.shape
COLORS = MultichannelImage(
    RANDOM.integers(0, 256, (*SHAPE, 3)).astype(np.uint8), MOVING.grid, "colors"
)
SERIES = MultichannelImage(
    RANDOM.integers(-900, 900, (*SHAPE, 4)).astype(np.int16), MOVING.grid, "series", 2.5
)


def test_colors_are_as_by_simpleitk():
    moved = resample_channels(TO_MOVING, COLORS, onto=FIXED.grid)
    image = itk_image(COLORS.data, COLORS.grid)
    theirs = itk_resampled(image, itk_affine(TO_MOVING), FIXED.grid, sitk.sitkLinear)
    assert moved.data.dtype == np.uint8
    assert np.abs(moved.data.astype(int) - theirs.astype(int)).max() <= 1


def test_each_volume_of_a_series_is_as_by_simpleitk():
    moved = resample_channels(TO_MOVING, SERIES, onto=FIXED.grid)
    assert (moved.meaning, moved.step_s, moved.data.dtype) == ("series", 2.5, np.int16)
    for n in range(SERIES.count):
        image = itk_image(SERIES.data[..., n], SERIES.grid)
        theirs = itk_resampled(
            image, itk_affine(TO_MOVING), FIXED.grid, sitk.sitkLinear
        )
        inside = np.abs(theirs) > 0
        difference = moved.data[..., n].astype(int) - theirs
        assert np.abs(difference[inside]).max() <= 1


class TestType:
    @pytest.mark.parametrize(
        ("stored", "way", "expected"),
        [
            (np.int16, "linear", np.int16),
            (np.int16, "cubic", np.float32),
            (np.int16, "nearest", np.int16),
            (np.float64, "linear", np.float64),
            (np.bool_, "linear", np.float32),  # a mask has no steps
        ],
    )
    def test_is_the_own_one_where_it_holds_the_values(self, stored, way, expected):
        data = SERIES.data.astype(stored)
        image = MultichannelImage(data, MOVING.grid, "series")
        moved = resample_channels(
            TO_MOVING, image, onto=FIXED.grid, sampling=Sampling(way)
        )
        assert moved.data.dtype == expected

    def test_numbers_beyond_the_wanted_type_are_clipped_with_a_warning(self):
        sampling = Sampling(dtype=np.dtype(np.uint8))
        with pytest.warns(SuspiciousInputWarning, match="do not fit into uint8"):
            moved = resample_channels(
                TO_MOVING, SERIES, onto=FIXED.grid, sampling=sampling
            )
        assert moved.data.max() == 255


class TestVectors:
    VECTORS = MultichannelImage(
        np.broadcast_to(np.float32([1, 2, 3]), (*SHAPE, 3)), MOVING.grid, "vectors"
    )

    def moved(self, transform):
        return resample_channels(transform, self.VECTORS, onto=FIXED.grid).data

    def test_are_zero_beyond_their_image(self):
        negative = MultichannelImage(-self.VECTORS.data, MOVING.grid, "vectors")
        far = np.eye(4)
        far[:3, 3] = 1000
        moved = resample_channels(Affine(far), negative, onto=FIXED.grid)
        assert not moved.data.any()

    def test_turn_with_a_rotation(self):
        rotation = Rotation.from_rotvec([0.2, -0.3, 0.4]).as_matrix()
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = MOVING.grid.center_mm - rotation @ FIXED.grid.center_mm
        center = self.moved(Affine(matrix))[9, 8, 7]
        # The rotation takes directions from fixed to moving.
        np.testing.assert_allclose(rotation @ center, [1, 2, 3], atol=1e-5)

    def test_keep_their_length_in_a_field_and_follow_its_derivative(self):
        field = smooth_field(FIXED.grid, largest_voxels=2.0)
        transform = TO_MOVING @ field
        center = self.moved(transform)[9, 8, 7]
        x = FIXED.grid.voxel_to_world(np.array([[9.0, 8.0, 7.0]]))
        step = 1.0 * FIXED.grid.affine[:3, :3].T
        ahead, behind = (transform.map_positions(x + s * step) for s in (1, -1))
        derivative = (ahead - behind).T / 2 @ np.linalg.inv(FIXED.grid.affine[:3, :3])
        left, _, right = np.linalg.svd(derivative)
        np.testing.assert_allclose(center, (left @ right).T @ [1, 2, 3], atol=1e-4)
        assert np.linalg.norm(center) == pytest.approx(14**0.5, abs=1e-4)

    def test_are_mirrored_with_space(self):
        mirror = Affine(np.diag([-1.0, 1, 1, 1]))
        x, y, z = MOVING.grid.center_mm
        grid = type(MOVING.grid).centered(
            (3, 3, 3),
            center_mm=np.array([-x, y, z]),
            spacing_mm=(1.0, 1.0, 1.0),
            directions=np.eye(3),
        )
        moved = resample_channels(mirror, self.VECTORS, onto=grid).data
        np.testing.assert_allclose(moved[1, 1, 1], [-1, 2, 3], atol=1e-5)


def test_a_grid_of_other_voxels_has_the_field_of_view():
    grid = with_spacing(FIXED.grid, FIXED.grid.spacing_mm / 2)
    assert grid.shape == tuple(2 * n for n in FIXED.grid.shape)
    np.testing.assert_allclose(
        grid.corners_mm(margin_voxels=0.5),
        FIXED.grid.corners_mm(margin_voxels=0.5),
        atol=1e-9,
    )


def test_a_grid_around_the_input_holds_all_of_it():
    transform = TO_MOVING @ smooth_field(FIXED.grid)
    grid = grid_around(transform, MOVING.grid, np.full(3, 2.0))
    assert grid.axcodes == "RAS"
    ones = MultichannelImage(np.ones((*SHAPE, 1)), MOVING.grid, "scalar")
    moved = resample_channels(transform, ones, onto=grid).data[..., 0]
    volume = moved.sum() * 2**3 / abs(np.linalg.det(TO_MOVING.inverse().matrix))
    expected = np.prod(SHAPE) * np.prod(MOVING.grid.spacing_mm)
    assert volume == pytest.approx(expected, rel=0.05)


def test_numbers_that_do_not_fit_the_meaning_are_refused():
    with pytest.raises(InputError, match="expected 3 numbers per voxel, got 4"):
        MultichannelImage(SERIES.data, MOVING.grid, "vectors")

"""Symmetric templates: mirror images, mirrored transforms, planes of symmetry."""

import numpy as np
import pytest

from support.heads import head
from support.scans import (
    STORAGE_ORDERS,
    oblique_grid,
    smooth_field,
    smooth_image,
    stored,
)
from voltween.errors import SuspiciousInputWarning
from voltween.spatial import Affine, Grid, Image
from voltween.templates.mean_shape import shape_update
from voltween.templates.symmetry import (
    middle_pose,
    mirrored,
    reflection,
    symmetric_mean,
    symmetric_shape,
)


def test_a_reflection_maps_a_scan_to_its_mirror_image():
    for order in STORAGE_ORDERS[::7]:
        image = stored(smooth_image(oblique_grid()), order)
        moved = reflection(image.grid).resample(image, onto=image.grid)
        assert np.allclose(moved.data, mirrored(image).data, atol=1e-2)


def test_left_becomes_right():
    grid = Grid((8, 6, 5), np.diag([2.0, 2, 2, 1]))
    mapped = reflection(grid).map_positions(np.array([[0.0, 4, 6]]))
    assert np.allclose(mapped, [[14, 4, 6]])


def test_the_mean_with_the_mirror_image_is_symmetric():
    image = symmetric_mean(smooth_image(oblique_grid()))
    assert np.array_equal(mirrored(image).data, image.data)


def test_the_update_is_that_of_scans_and_mirrored_scans():
    """Registering mirrored copies as well would give mirrored transforms."""
    grid = Grid.centered(
        (20, 18, 16),
        center_mm=np.zeros(3),
        spacing_mm=(2.0, 2.0, 2.0),
        directions=np.eye(3),
    )
    inner = grid.voxel_to_world(
        np.argwhere(np.ones((10, 10, 8))) + np.array([5.0, 4, 4])
    )
    stretched = np.diag([1.1, 1, 1, 1])
    stretched[0, 1] = 0.1
    scans = [Affine(stretched) @ smooth_field(grid, seed) for seed in (1, 2)]
    mirror = reflection(grid)
    copies = [mirror @ scan @ mirror for scan in scans]
    explicit = shape_update([*scans, *copies], inner, grid)
    implied = shape_update(scans, inner, grid, symmetrize=symmetric_shape)
    apart = explicit.map_positions(inner) - implied.map_positions(inner)
    assert np.abs(apart).max() < 0.02
    one = mirror.map_positions(implied.map_positions(inner))
    other = implied.map_positions(mirror.map_positions(inner))
    assert np.abs(one - other).max() < 1e-6


def test_a_plane_that_is_not_found_is_told():
    grid = Grid((24, 22, 20), np.diag([2.0, 2, 2, 1]))
    noise = Image(np.random.default_rng(0).random(grid.shape), grid)
    with pytest.warns(SuspiciousInputWarning, match="plane of symmetry may be wrong"):
        middle_pose(noise)


def test_a_head_is_turned_to_its_plane_of_symmetry():
    symmetric = symmetric_mean(head(1))
    grid = symmetric.grid
    angle, shift = np.radians(6), np.array([5.0, 0, 0])
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = grid.center_mm - matrix[:3, :3] @ grid.center_mm + shift
    turned = Affine(matrix).resample(symmetric, onto=grid)
    back = middle_pose(turned).resample(turned, onto=grid)

    def asymmetry(image: Image):
        return np.abs(image.data - mirrored(image).data).mean()

    assert asymmetry(back) < 0.35 * asymmetry(turned)

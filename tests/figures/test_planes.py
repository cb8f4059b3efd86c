import numpy as np
import pytest

from support.scans import oblique_grid
from voltween.figures import PLANES, display_grid
from voltween.spatial import Affine, Grid, Image, directions_to_ras

AXES = {"L": (0, -1), "R": (0, 1), "P": (1, -1), "A": (1, 1), "S": (2, 1)}
SIDES = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0]}


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"axis {plane.axis}")
@pytest.mark.parametrize("side", SIDES)
def test_each_side_of_a_section_is_the_one_it_is_named_for(plane, side):
    axis, sign = AXES[getattr(plane, side)]
    grid = display_grid(oblique_grid((9, 8, 7)))
    towards = sign * np.indices((5, 6, 7))[axis].astype(float)
    section = plane.section(towards)
    assert grid.axcodes == "RAS"
    assert (section[SIDES[side]] == towards.max()).all()
    assert section.mean() < towards.max()


def test_a_mirrored_volume_gives_mirrored_sections():
    data = np.random.default_rng(0).random((5, 7, 3))
    axial, coronal, sagittal = PLANES
    for plane in (axial, coronal):
        mirrored = plane.section(data[::-1])
        assert np.array_equal(mirrored, plane.section(data)[:, ::-1])
    assert np.array_equal(sagittal.section(data[::-1]), sagittal.section(data))


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"axis {plane.axis}")
def test_a_slab_has_the_grids_own_middle_layers(plane):
    grid = oblique_grid((9, 12, 7))
    image = Image(np.random.default_rng(0).random(grid.shape), grid)
    slab = plane.slab(grid, 3)
    assert slab.shape[plane.axis] == 3
    cut = Affine.identity().resample(image, onto=slab).data
    np.testing.assert_allclose(plane.section(cut), plane.section(image.data), atol=1e-5)


@pytest.mark.parametrize("plane", PLANES, ids=lambda plane: f"axis {plane.axis}")
def test_a_window_is_one_layer_around_its_position_as_wide_as_asked_for(plane):
    grid = oblique_grid((9, 12, 7))
    position_mm = grid.voxel_to_world(np.array([2.0, 3.0, 4.0]))
    window = plane.window(directions_to_ras(grid), position_mm, half_mm=15.0, pixels=20)
    assert sorted(window.shape) == [1, 20, 20]
    assert window.shape[plane.axis] == 1
    np.testing.assert_allclose(window.center_mm, position_mm, atol=1e-9)
    np.testing.assert_allclose(window.spacing_mm, 1.5)


def test_a_flat_scan_keeps_two_layers_on_the_display_grid():
    grid = display_grid(Grid((200, 200, 1), np.eye(4)))
    assert grid.shape == (224, 224, 2)

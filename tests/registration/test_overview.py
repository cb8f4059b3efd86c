"""The overview picture: its content, and which way is up."""

import numpy as np
from PIL import Image as Picture

from support.scans import FIXED, STORAGE_ORDERS, oblique_grid, stored, tiny_model
from voltween.figures import display_grid
from voltween.registration import Registration, register
from voltween.registration.overview import write_overview
from voltween.registration.result import TweeningStage
from voltween.spatial import Affine, Image


def test_display_grid_is_cubic_in_ras_order_over_the_whole_scan():
    for order in STORAGE_ORDERS[::7]:
        image = stored(FIXED, order)
        grid = display_grid(image.grid)
        assert grid.axcodes == "RAS"
        assert np.ptp(grid.spacing_mm) < 1e-9
        corners = image.grid.voxel_to_world(np.array([[0.0, 0, 0], [17, 15, 13]][:1]))
        voxels = grid.world_to_voxel(corners)
        assert (voxels > -0.6).all()
        assert (voxels < np.array(grid.shape) - 0.4).all()


def test_overview_is_a_picture_that_is_not_blank(tmp_path):
    write_overview(
        register(FIXED, FIXED, model=tiny_model(strength=0.1)), tmp_path / "o.png"
    )
    picture = np.asarray(Picture.open(tmp_path / "o.png"))
    assert picture.shape[0] > 400
    assert picture.shape[1] > 1000
    assert picture.std() > 25
    assert list(tmp_path.iterdir()) == [tmp_path / "o.png"]


def test_right_is_at_the_right_and_anterior_and_superior_are_up(tmp_path):
    """The fixed image, in the first column, is bright on one side."""
    grid = oblique_grid((20, 20, 20), spacing_mm=(2.0, 2.0, 2.0))
    noise = np.random.default_rng(0).random(grid.shape)
    outwards_mm = grid.voxel_centers_mm() - grid.center_mm
    for side, rows, half in [
        (0, slice(60, 270), np.s_[:, 112:]),  # R in the axial plane
        (1, slice(60, 270), np.s_[:105]),  # A in the axial plane
        (2, slice(290, 500), np.s_[:105]),  # S in the coronal plane
    ]:
        image = Image((outwards_mm[..., side] > 0) * 100 + noise, grid)
        same = Affine.identity()
        stages = (TweeningStage("affine", same),)
        result = Registration(image, image, "none", same, stages, {})
        write_overview(result, tmp_path / "o.png")
        fixed = np.asarray(Picture.open(tmp_path / "o.png").convert("L"))[rows, 10:224]
        assert fixed[half].mean() > 0.8 * 255
        assert fixed.mean() < 0.6 * 255

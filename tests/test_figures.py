import matplotlib.image
import numpy as np

from helpers import FIXED, STORAGE_ORDERS, stored, tiny_model
from voltween.figures import display_grid, write_overview
from voltween.register import register


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


def test_overview_is_a_picture_with_something_in_it(tmp_path):
    write_overview(
        register(FIXED, FIXED, model=tiny_model(strength=0.1)), tmp_path / "o.png"
    )
    picture = matplotlib.image.imread(tmp_path / "o.png")
    assert picture.shape[0] > 400
    assert picture.shape[1] > 1000
    assert picture[..., :3].std() > 0.1
    assert list(tmp_path.iterdir()) == [tmp_path / "o.png"]

"""The overview picture: its content, and which way is up."""

import numpy as np
import pytest
from PIL import Image as Picture

from support.faces import HEAD, NOSE_MM, head
from support.scans import (
    FIXED,
    STORAGE_ORDERS,
    label_blocks,
    oblique_grid,
    stored,
    tiny_model,
)
from voltween.figures import FIXED_OUTLINE, MOVED_OUTLINE, display_grid, rgb
from voltween.registration import Registration, register, write_registration
from voltween.registration.overview import paint_overview, write_picture
from voltween.registration.result import TweeningStage
from voltween.reports import ReportOptions
from voltween.spatial import Affine, Image


def write_overview(result, path, **options):
    write_picture(paint_overview(result, **options), path)


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


def colored(picture, color):
    """Returns the number of pixels that have a color exactly."""
    return int((picture == np.rint(np.array(color) * 255)).all(axis=-1).sum())


def test_outlines_of_labels_are_drawn_where_labels_are_given(tmp_path):
    result = register(FIXED, FIXED, model=tiny_model(strength=0.1))
    labels = label_blocks(FIXED.grid)
    counts = []
    for sides in ({}, {"fixed_labels": labels}, {"moving_labels": labels}):
        write_overview(result, tmp_path / "o.png", **sides)
        picture = np.asarray(Picture.open(tmp_path / "o.png"))
        counts.append(
            [colored(picture, c) for c in (rgb(FIXED_OUTLINE), rgb(MOVED_OUTLINE))]
        )
    assert counts[0] == [0, 0]
    assert counts[1][0] > 1000
    assert counts[1][1] == 0
    assert counts[2][0] == 0
    assert counts[2][1] > 1000


def overview_of(image, folder, crop):
    """The overview of a scan that is registered to itself, without its title."""
    same = Affine.identity()
    stages = (TweeningStage("affine", same),)
    result = Registration(image, image, "none", same, stages, {})
    options = ReportOptions(crop=crop)
    write_registration(result, folder, outputs=["overview"], report=options)
    return np.asarray(Picture.open(folder / "overview.png"))[34:]


def test_the_overview_shows_no_face_if_faces_are_to_be_left_out(tmp_path):
    distance_mm = np.linalg.norm(HEAD.voxel_centers_mm() - NOSE_MM, axis=-1)
    noseless = Image(np.where(distance_mm < 12, 0, head().data), HEAD)
    for crop, is_same in (("none", False), ("brain", True)):
        pictures = [
            overview_of(image, tmp_path / f"{crop} {number}", crop)
            for number, image in enumerate((head(), noseless))
        ]
        assert np.array_equal(*pictures) == is_same
    assert pictures[0].std() > 25


def test_the_overview_shows_no_scan_if_no_brain_is_found(tmp_path):
    random = np.random.default_rng(0)
    one, other = (Image(random.random(FIXED.grid.shape), FIXED.grid) for _ in range(2))
    pictures = [
        overview_of(image, tmp_path / str(number), "brain")
        for number, image in enumerate((one, other))
    ]
    assert np.array_equal(*pictures)


@pytest.mark.parametrize("stages", [1, 6])
@pytest.mark.parametrize("shape", [(20, 20, 20), (30, 10, 5), (5, 10, 40)])
def test_picture_fits_on_a_laptop(shape, stages, tmp_path):
    image = Image(np.random.default_rng(0).random(shape), oblique_grid(shape))
    same = Affine.identity()
    named = tuple(TweeningStage(f"dense {n}", same) for n in range(stages))
    write_overview(
        Registration(image, image, "none", same, named, {}), tmp_path / "o.png"
    )
    height, width, _ = np.asarray(Picture.open(tmp_path / "o.png")).shape
    assert 600 < width <= 1640
    assert height <= 1000


def test_color_scale_runs_from_red_to_blue_at_the_right(tmp_path):
    result = register(FIXED, FIXED, model=tiny_model(strength=0.1))
    write_overview(result, tmp_path / "o.png")
    picture = np.asarray(Picture.open(tmp_path / "o.png")).astype(int)
    bar = picture[56:250, -45]
    assert bar[0, 0] > bar[0, 2] + 50
    assert bar[-1, 2] > bar[-1, 0] + 50
    assert bar[len(bar) // 2].min() > 240

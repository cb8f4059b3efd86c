import subprocess
import sys

import numpy as np
import pytest

from support.scans import FIXED, tiny_model
from voltween.errors import InputError, MissingPackageError
from voltween.figures import Scene, import_pyvista, render_lines, render_volume
from voltween.figures import render_scan as render
from voltween.figures.rendering import body_mask
from voltween.registration import register_by_network
from voltween.registration.tweening_figure import Structures, deformed_grid
from voltween.spatial import Grid, Image, LabelMap, directions_to_ras

pytest.importorskip("pyvista")
GRID = Grid((40, 40, 40), np.diag([2.0, 2, 2, 1]))
SCENE = Scene(GRID, is_filled=False)  # 1/64 of the usual voxels, for speed


def ball(center, radius=8):
    distance = np.linalg.norm(
        np.indices(GRID.shape) - np.reshape(center, (3, 1, 1, 1)), axis=0
    )
    return Image(np.where(distance < radius, 100.0, 0.0), GRID)


@pytest.fixture(scope="module", name="empty")
def empty_fixture():
    """The scene with next to nothing in it."""
    point = [GRID.voxel_to_world(np.full((2, 3), 20.0))]
    return render_lines(SCENE, point, [np.zeros(2)], most=1.0).astype(int)


def middle_of_surface(image, empty):
    """Mean column and row, in pixels, of what the scan adds to its empty scene."""
    changed = np.abs(render(SCENE, image) - empty).sum(-1) > 90
    rows, columns = np.nonzero(changed)
    return columns.mean(), rows.mean()


def test_superior_is_up_right_is_left_and_anterior_is_right_in_the_picture(empty):
    middle = np.array(middle_of_surface(ball((19.5, 19.5, 19.5)), empty))
    right = middle_of_surface(ball((29.5, 19.5, 19.5)), empty) - middle
    anterior = middle_of_surface(ball((19.5, 29.5, 19.5)), empty) - middle
    superior = middle_of_surface(ball((19.5, 19.5, 29.5)), empty) - middle
    assert right[0] < -15
    assert anterior[0] > 15
    assert superior[1] < -15
    assert abs(superior[0]) < 8


def test_the_same_scan_gives_the_same_picture():
    image = ball((19.5, 15.5, 22.5))
    assert np.array_equal(render(SCENE, image), render(SCENE, image))


def test_a_structure_shows_in_its_color_where_the_scan_is_cut():
    labels = LabelMap((ball((25, 25, 25), 5).data > 0).astype(np.uint8), GRID)
    pixels = render(SCENE, ball((19.5, 19.5, 19.5), 15), labels, (1,)).astype(int)
    is_orange = (pixels[..., 0] > 1.8 * pixels[..., 2]) & (pixels[..., 0] > 120)
    assert is_orange.sum() > 1000


@pytest.fixture(scope="module", name="empty_volume")
def empty_volume_fixture():
    """The black scene without a scan."""
    return render_volume(SCENE, Image(np.zeros(GRID.shape), GRID)).astype(int)


def test_the_projection_of_volumes_is_dimetric(empty_volume):
    def middle(center):
        added = np.abs(render_volume(SCENE, ball(center)) - empty_volume).sum(-1)
        rows, columns = np.nonzero(added > 30)
        return np.array([columns.mean(), rows.mean()])

    start = middle((19.5, 19.5, 19.5))
    right = middle((27.5, 19.5, 19.5)) - start
    anterior = middle((19.5, 27.5, 19.5)) - start
    superior = middle((19.5, 19.5, 27.5)) - start
    assert right[0] < -15
    np.testing.assert_allclose(right, anterior * [-1, 1], atol=2)  # foreshortened alike
    assert abs(superior[0]) < 2
    assert superior[1] < -15
    assert np.linalg.norm(superior) != pytest.approx(np.linalg.norm(right), rel=0.05)


def test_the_more_intense_a_volume_is_the_more_opaque(empty_volume):
    inner, outer = (ball((19.5, 19.5, 19.5), radius).data for radius in (7, 14))
    pixels = render_volume(SCENE, Image(inner + outer, GRID)).astype(int)
    added = (pixels - empty_volume).sum(-1)
    columns = np.flatnonzero((added > 10).any(axis=0))
    row, beside = pixels.shape[0] // 2, 8  # the box has a line in the middle
    dense = added[row, pixels.shape[1] // 2 + beside]
    thin = added[row, columns.min() + len(columns) // 6]
    assert dense > 2 * thin > 0
    assert np.ptp(pixels[row, pixels.shape[1] // 2 + beside]) <= 1  # not colored
    assert not empty_volume[5, 5].any()  # on black


def test_the_same_volume_gives_the_same_picture_with_its_structures():
    labels = LabelMap((ball((20, 20, 20), 5).data > 0).astype(np.uint8), GRID)
    scan = ball((19.5, 19.5, 19.5), 12)
    one, other = (render_volume(SCENE, scan, labels, (1,)) for _ in range(2))
    assert np.array_equal(one, other)
    red, _, blue = np.moveaxis(one.astype(int), -1, 0)
    assert ((red > 1.3 * blue) & (red > 60)).sum() > 500


def test_a_body_is_found_with_its_cavities_and_without_specks():
    data = ball((19.5, 19.5, 19.5), 12).data.copy()
    data[18:22, 18:22, 18:22] = 0
    data[1:3, 1:3, 1:3] = 100
    body = body_mask(data)
    assert body[20, 20, 20]
    assert not body[2, 2, 2]


def test_a_crop_without_background_is_shown_whole():
    noise = np.random.default_rng(0).random(GRID.shape)
    assert Scene.around(Image(noise * 5 + np.indices(GRID.shape)[0], GRID)).is_filled
    assert not Scene.around(ball((19.5, 19.5, 19.5))).is_filled


def test_the_scene_is_the_scans_field_of_view_in_cubes_in_ras_order():
    grid = Scene.around(FIXED).grid
    np.testing.assert_allclose(grid.center_mm, FIXED.grid.center_mm)
    np.testing.assert_allclose(grid.spacing_mm, grid.spacing_mm[0])
    np.testing.assert_allclose(directions_to_ras(grid), directions_to_ras(FIXED.grid))
    extents_mm = [np.array(g.shape) * g.spacing_mm for g in (grid, FIXED.grid)]
    np.testing.assert_allclose(*map(sorted, extents_mm), atol=grid.spacing_mm[0] / 2)


def test_the_deformed_grid_is_straight_lines_mapped_there_and_measured_in_mm():
    registration = register_by_network(FIXED, FIXED, tiny_model(strength=0.05))
    grid = FIXED.grid
    mesh = deformed_grid(registration, grid)
    # Carried back to moving space, and out as they came in, the lines are straight.
    for line, moves in zip(mesh.lines_mm, mesh.displacements_mm, strict=True):
        back = registration.fixed_to_moving.map_positions(line)
        came_in = registration.before.inverse().map_positions(back)
        voxels = grid.world_to_voxel(came_in)
        assert (np.ptp(voxels, axis=0) > 0.5).sum() == 1
        assert np.allclose(np.linalg.norm(line - came_in, axis=1), moves, atol=0.5)
    assert max(moves.max() for moves in mesh.displacements_mm) > 0.1


def test_nothing_is_said_on_stderr_without_a_display():
    code = (
        "import numpy as np; from voltween.figures.rendering import *;"
        "s = Scene(Grid((9, 9, 9), np.eye(4)), is_filled=False);"
        "render_lines(s, [np.eye(3)], [np.ones(3)], most=1.0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_without_pyvista_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvista", None)
    with pytest.raises(MissingPackageError, match=r"voltween\[figures\]"):
        import_pyvista()


@pytest.mark.parametrize("chosen", [(9,), (), (1, 1, 1, 1, 1, 1, 1)])
def test_structures_that_cannot_be_shown_are_refused(chosen):
    labels = LabelMap((ball((20, 20, 20)).data > 0).astype(np.uint8), GRID)
    with pytest.raises(InputError, match="choose some with --structures"):
        Structures(labels, labels, chosen)

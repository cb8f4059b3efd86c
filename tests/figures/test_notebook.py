"""Scans in notebooks: the picture, its sides, and the line below it."""

import base64
import re
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as Picture

import voltween as vt
from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween.errors import InputError
from voltween.figures import Shown, notebook_html, show_pair
from voltween.spatial import Affine, Grid, Image, LabelMap

GRID = oblique_grid((20, 20, 20), spacing_mm=(2.0, 2.0, 2.0))
PANEL, GAP = 224, 4


def picture_of(html):
    """The pixels of the picture in the HTML, as float."""
    (content,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    with Picture.open(BytesIO(base64.b64decode(content))) as picture:
        return np.asarray(picture.convert("RGB")).astype(float)


def panels_of(html):
    pixels = picture_of(html)
    return [pixels[:, n * (PANEL + GAP) :][:, :PANEL] for n in range(3)]


def caption_of(html):
    return re.search("<figcaption>(.*)</figcaption>", html)[1]


def is_brighter(one, other):
    return one.mean() > other.mean() + 50


@pytest.mark.parametrize("order", STORAGE_ORDERS[::9])
@pytest.mark.parametrize("kind", [Image, LabelMap])
def test_right_anterior_and_superior_are_right_and_up(kind, order):
    half, towards = PANEL // 2, np.indices(GRID.shape) >= 10
    for axis, number, direction in [
        *((0, 0, "right"), (0, 1, "right"), (1, 2, "right")),
        *((1, 0, "up"), (2, 1, "up"), (2, 2, "up")),
    ]:
        volume = stored(kind(towards[axis].astype(np.uint8), GRID), order)
        panel = panels_of(volume._repr_html_())[number]
        if direction == "right":
            assert is_brighter(panel[:, half:], panel[:, :half])
        else:
            assert is_brighter(panel[:half], panel[half:])


def test_an_image_is_shown_in_the_window_that_its_line_states():
    data = np.linspace(0, 100, 8000).reshape(GRID.shape)
    data[0, 0, 0] = 1e6
    html = Image(data, GRID)._repr_html_()
    levels = panels_of(html)[0].mean(axis=-1)
    assert levels.mean() == pytest.approx(128, abs=20)
    assert caption_of(html) == (
        "Image; 20 x 20 x 20 voxels of 2 x 2 x 2 mm; stored as RAS; "
        "intensities 0.0125016 to 1e+06, shown 0.5125 to 99.51"
    )


def test_labels_are_colored_and_counted():
    data = np.zeros(GRID.shape, np.int16)
    data[:10, :, :10], data[10:, :, 10:] = 3, 70
    html = LabelMap(data, GRID)._repr_html_()
    coronal = panels_of(html)[1]
    corners = [coronal[50, 50], coronal[50, 180], coronal[180, 50], coronal[180, 180]]
    assert corners[0].max() == corners[3].max() == 0
    assert np.abs(corners[1] - corners[2]).max() > 80
    assert caption_of(html).endswith("2 labels: 3, 70")
    assert caption_of(LabelMap(data * 0, GRID)._repr_html_()).endswith("no labels")
    many = LabelMap(np.arange(8000).reshape(GRID.shape), GRID)
    assert caption_of(many._repr_html_()).endswith(
        "7999 labels: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ..."
    )


def test_a_pair_is_shown_under_its_transforms_and_as_a_checkerboard():
    dark, bright = np.zeros(GRID.shape), np.zeros(GRID.shape)
    dark[0, 0, 0] = bright[0, 0, 0] = 1
    bright[5:15, 5:15, 5:15] = 1
    shown = show_pair(
        Image(dark, GRID),
        Image(bright, GRID),
        {"before": Affine.identity()},
        ["<b>names</b> & \u202e"],
    )
    html = shown.html()
    assert caption_of(html) == r"&lt;b&gt;names&lt;/b&gt; &amp; \u202e"
    pixels = picture_of(html)
    middles = [
        pixels[20 + 112 - 20 : 20 + 112 + 20, 6 + n * 230 + 92 :][:, :40]
        for n in range(3)
    ]
    fixed, moved, both = (middle.mean() for middle in middles)
    assert fixed == 0
    assert moved == 255
    assert 60 < both < 200


@pytest.mark.parametrize("shape", [(1, 1, 1), (40, 30, 1)])
def test_flat_and_constant_scans_have_a_picture(shape):
    scan = Image(np.full(shape, 7.0), Grid(shape, np.eye(4)))
    assert picture_of(scan._repr_html_()).size
    assert picture_of(LabelMap(np.ones(shape, int), scan.grid)._repr_html_()).size


@pytest.mark.parametrize("kind", [Image, LabelMap])
def test_tools_without_html_get_the_same_picture(kind):
    volume = kind(np.arange(8000).reshape(GRID.shape), GRID)
    with Picture.open(BytesIO(volume._repr_png_())) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    assert np.array_equal(pixels, picture_of(volume._repr_html_()))


def test_a_script_shows_a_picture_in_the_viewer_of_the_system(monkeypatch):
    seen = []
    monkeypatch.setattr("PIL.ImageShow.show", lambda picture: seen.append(picture) or 1)
    shown = Shown(Picture.new("RGB", (4, 4)), ("words",))
    shown.show()
    assert seen == [shown.picture]


def test_without_a_viewer_the_way_out_is_named(monkeypatch):
    monkeypatch.setattr("PIL.ImageShow.show", lambda picture: False)
    with pytest.raises(InputError, match="write_registration"):
        Shown(Picture.new("RGB", (4, 4)), ("words",)).show()


def test_a_notebook_shows_the_picture_itself(monkeypatch):
    display = pytest.importorskip("IPython.display")
    seen = []
    shell = SimpleNamespace(kernel=None)
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(display, "display", seen.append)
    shown = Shown(Picture.new("RGB", (4, 4)), ("words",))
    shown.show()
    assert [html.data for html in seen] == [shown.html()]


def test_a_picture_of_another_thing_is_refused():
    with pytest.raises(TypeError, match="no picture of Grid"):
        notebook_html(GRID)
    assert vt.notebook_html is notebook_html

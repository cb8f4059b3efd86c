"""The widget in a viewer without a window: layers, progress, slider, refusals."""

import napari
import numpy as np
import pytest

import voltween as vt
from napari_voltween import widget as module
from napari_voltween.layers import layer_of
from napari_voltween.widget import RegistrationWidget
from voltween.spatial import reorder_grid_to_ras

PSR = np.array([[0, 0, 2.0, 9], [-2.0, 0, 0, -4], [0, 2.0, 0, 7], [0, 0, 0, 1]])
GRID = vt.Grid((20, 18, 16), PSR)
OTHER = vt.Grid((18, 20, 22), np.diag([2.0, 1.8, 1.8, 1.0]))


def blobs(grid, shift_mm):
    """Blobs around the middle of a grid, in its own place."""
    random = np.random.default_rng(0)
    places = grid.voxel_centers_mm() - grid.center_mm - shift_mm
    data = np.zeros(grid.shape)
    for center in random.uniform(-11, 11, (20, 3)):
        data += np.exp(-((places - center) ** 2).sum(axis=-1) / 20)
    return vt.Image(100 * data, grid)


FIXED, MOVING = blobs(GRID, np.zeros(3)), blobs(OTHER, np.array([3.0, -2.0, 1.0]))
LABELS = vt.LabelMap((MOVING.data > 30).astype(np.uint8), OTHER)


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer()
    for layer in (
        layer_of(FIXED, "one"),
        layer_of(MOVING, "two"),
        layer_of(LABELS, "organ"),
    ):
        viewer.add_layer(napari.layers.Layer.create(*layer))
    return viewer


@pytest.fixture
def widget(viewer):
    widget = RegistrationWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Voltween")
    widget.fixed.value, widget.moving.value = viewer.layers["one"], viewer.layers["two"]
    widget.model.value, widget.refine.value = "none", "fast"
    return widget


def run(widget, qtbot):
    """Registers and waits for the end.

    The widget is asked, not the worker's signal: a thread that ends before anybody
    listens has sent its signal in vain.
    """
    assert widget.register() is not None
    qtbot.waitUntil(lambda: widget._worker is None, timeout=300_000)


def test_results_lie_on_the_fixed_scan_and_the_slider_moves_them(viewer, widget, qtbot):
    widget.moving_labels.value = viewer.layers["organ"]
    run(widget, qtbot)
    moved, organ = viewer.layers["two moved"], viewer.layers["two labels moved"]
    for layer in (moved, organ, viewer.layers["two tweening"]):
        for voxel in ((0, 0, 0), (5, 6, 7)):
            np.testing.assert_allclose(
                layer.data_to_world(voxel),
                reorder_grid_to_ras(GRID).voxel_to_world(np.array(voxel, float)),
                atol=1e-5,
            )
    inner = np.s_[3:-3, 3:-3, 3:-3]
    both = moved.data[inner].ravel(), viewer.layers["one"].data[inner].ravel()
    alike = np.corrcoef(*both)[0, 1]
    assert alike > 0.97
    assert set(np.unique(organ.data)) == {0, 1}
    assert widget.text.value.startswith("Verdict: ")
    assert widget.button.text == "Register"
    tweening = viewer.layers["two tweening"]
    last = tweening.data.copy()
    np.testing.assert_allclose(last, moved.data, atol=0.2)
    widget.slider.value = 0.0
    assert tweening.visible
    assert np.abs(tweening.data - last).max() > 5
    assert widget.stage.value == "before"
    viewer.layers.remove(tweening)
    widget.slider.value = 0.5  # nothing to show it in, and no error


def test_what_cannot_be_registered_is_said_in_the_widget(viewer, widget):
    viewer.add_image(np.zeros((4, 4)), name="flat")
    widget.moving.value = viewer.layers["flat"]
    assert widget.register() is None
    assert widget.text.value.startswith("flat: expected a 3D volume")


def test_an_error_of_the_registration_is_said_and_another_can_start(
    viewer, widget, qtbot, monkeypatch
):
    def refuse(*args, **kwargs):
        raise vt.InputError(about="moving", expected="a scan", got="a stone")

    monkeypatch.setattr(module.vt, "register", refuse)
    run(widget, qtbot)
    assert widget.text.value == "moving: expected a scan, got a stone"
    assert widget.button.text == "Register"


def test_a_layer_of_another_reader_is_told_to_be_taken_as_ras(
    viewer, widget, qtbot, monkeypatch
):
    said = []
    monkeypatch.setattr(module, "show_warning", said.append)
    viewer.add_image(MOVING.data, name="bare", scale=(2.0, 1.8, 1.8))
    widget.moving.value = viewer.layers["bare"]
    run(widget, qtbot)
    assert [text.split(":")[0] for text in said] == ["bare"]

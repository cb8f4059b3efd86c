"""The module of 3D Slicer, with a stand-in of Slicer: nodes are RAS, files LPS."""

import os
import time

import numpy as np
import pytest

from support.hosting import RECORD, STEP, done, pretender
from support.known_pair import error_mm, known_pair
from support.scans import STORAGE_ORDERS, stored
from support.slicer import VolumeNode, load_module

DATA = np.zeros((4, 4, 4), np.float32)


def node_of(image, name):
    return VolumeNode(name, image.data, image.grid.affine)


def volume(name, parent=None):
    return VolumeNode(name, DATA, np.eye(4), parent)


class OfNode:
    """A transform node with the interface that `error_mm` asks."""

    def __init__(self, node):
        self.map_positions = node.from_parent_ras


@pytest.fixture
def slicer(monkeypatch, tmp_path):
    return load_module(monkeypatch, tmp_path)


def test_transform_and_volume_are_right_in_the_scene(slicer, monkeypatch, tmp_path):
    """Two scans in other storage orders: the transform maps RAS to RAS."""
    module, _ = slicer
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    fixed, moving = known_pair()
    scans = stored(fixed, STORAGE_ORDERS[13]), stored(moving, STORAGE_ORDERS[30])
    nodes = [node_of(*pair) for pair in zip(scans, ("one", "two"), strict=True)]
    logic = module.VoltweenLogic()
    logic.start(*nodes, model="none", refine="fast")
    logic.running.wait()
    outcome, transform, moved = logic.poll()
    assert outcome.record["command"].startswith("voltween register ")
    assert transform.GetName() == "two to one"
    assert moved.GetName() == "two moved"
    assert error_mm(OfNode(transform)) < 1.0
    np.testing.assert_allclose(moved.ijk_to_ras, nodes[0].ijk_to_ras, atol=1e-4)
    inner = np.s_[3:-3, 3:-3, 3:-3]
    both = moved.voxels[inner].ravel(), nodes[0].voxels[inner].ravel()
    assert np.corrcoef(*both)[0, 1] > 0.95
    assert logic.running is None
    assert os.listdir(tmp_path) == []  # nothing stays on the disk


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((None, volume("m")), "Choose a fixed and a moving volume"),
        ((volume("f"), volume("m", parent=object())), "m is under a transform"),
    ],
)
def test_nodes_that_cannot_be_used_are_refused(slicer, nodes, message):
    module, _ = slicer
    with pytest.raises(ValueError, match=message):
        module.VoltweenLogic().start(*nodes)


def test_a_volume_is_not_registered_to_itself(slicer):
    module, _ = slicer
    same = volume("same")
    with pytest.raises(ValueError, match="two different volumes"):
        module.VoltweenLogic().start(same, same)


@pytest.fixture
def form(slicer, monkeypatch, tmp_path):
    """The form with two volumes, and the function that lets it run for a while."""
    module, _ = slicer
    widget = module.VoltweenWidget()
    widget.setup()
    widget.fixed.node, widget.moving.node = volume("f"), volume("m")

    def click(body):
        python = pretender(tmp_path, body)
        monkeypatch.setattr(module, "_python", lambda: python)
        widget.button.calls["clicked(bool)"](True)

    def tick(until):
        for _ in range(1000):
            widget.timer.calls["timeout()"]()
            if until():
                return
            time.sleep(0.02)
        raise TimeoutError

    yield widget, click, tick
    widget.cleanup()


def test_the_form_shows_progress_and_stops(form):
    widget, click, tick = form
    click([f"say('{STEP}')", "sys.stdin.read()"])
    assert widget.button.values["text"] == "Stop"
    assert widget.timer.values["runs"]
    tick(lambda: widget.bar.values["value"] > 0)
    assert widget.text.values["text"].startswith("Refining: dense, level 1 of 2")
    widget.button.calls["clicked(bool)"](True)
    tick(lambda: widget.button.values["text"] == "Register")
    assert widget.text.values["text"] == "Stopped; nothing was written."
    assert not widget.timer.values["runs"]


def test_the_form_shows_why_it_failed_and_can_run_again(form):
    widget, click, tick = form
    for _ in range(2):
        click(['say(\'{"error": "m: expected a scan"}\')', "sys.exit(2)"])
        tick(lambda: widget.button.values["text"] == "Register")
        assert widget.text.values["text"] == "m: expected a scan"


@pytest.mark.parametrize(
    ("record", "words"),
    [(RECORD, "The result could not be loaded:"), ("{", "the result cannot be read:")],
)
def test_a_result_that_is_not_there_is_told_and_ends(record, words, form, tmp_path):
    widget, click, tick = form
    for _ in range(2):
        click(done(record))
        tick(lambda: widget.button.values["text"] == "Register")
        assert widget.text.values["text"].startswith(words)
        assert not widget.timer.values["runs"]
        assert widget.logic.running is None
    assert [path.name for path in tmp_path.iterdir()] == ["python"]


def test_the_viewers_show_the_volume_that_was_registered_to(slicer, form, monkeypatch):
    """Even if another one was chosen meanwhile."""
    module, layers = slicer
    widget, click, tick = form
    fixed, moved = widget.fixed.node, volume("moved")
    monkeypatch.setattr(module.VoltweenLogic, "_load", lambda self: (None, moved))
    click(["time.sleep(0.2)", *done(RECORD)])
    widget.fixed.node = volume("another one")
    tick(lambda: widget.button.values["text"] == "Register")
    assert layers[0]["background"] is fixed
    assert layers[0]["foreground"] is moved


def test_the_form_asks_for_what_is_chosen(form, tmp_path):
    widget, click, tick = form
    widget.model.currentIndex = widget.model.items.index("none")
    widget.similarity.currentIndex = 3
    widget.no_folding.checked = True
    click(["say(json.dumps({'error': json.dumps(request)}))", "sys.exit(2)"])
    tick(lambda: widget.button.values["text"] == "Register")
    text = widget.text.values["text"]
    assert '"model": "none"' in text
    assert f'"similarity": "{widget.similarity.items[3]}"' in text
    assert '"no_folding": true' in text
    assert '"fixed_mask": null' in text


def test_a_form_that_is_closed_ends_what_runs(form):
    widget, click, _ = form
    click(["sys.stdin.read()"])
    process = widget.logic.running.process
    widget.cleanup()
    assert process.wait(timeout=60) != 0


def test_without_voltween_the_form_offers_to_install_it(slicer, monkeypatch):
    module, layers = slicer
    monkeypatch.setattr(module, "_is_installed", lambda: False)
    widget = module.VoltweenWidget()
    widget.setup()
    widget.button.calls["clicked(bool)"](True)
    assert layers == ["voltween"]
    assert widget.text.values["text"] == "Installed. Reload this module."
    monkeypatch.setattr(module, "_OLDEST_PYTHON", (9, 0))
    assert "needs Python" in module._missing_words()

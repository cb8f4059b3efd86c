"""Layers and scans lie in the same place of the viewer's world, R, A, S in mm."""

from pathlib import Path

import napari.layers
import numpy as np
import pytest
from npe2 import PluginManifest

import voltween as vt
from napari_voltween.layers import affine_of, is_placed, layer_of, volume_of
from napari_voltween.reading import reader_of
from voltween.spatial import reorder_volume_to_ras

TILT = np.array(
    [[0, 0, -1.5, 30], [1.1 * 0.8, -1.1 * 0.6, 0, -7], [0.6, 0.8, 0, 2], [0, 0, 0, 1]]
)
SHAPE = (6, 5, 4)
DATA = np.random.default_rng(0).uniform(0, 100, SHAPE).astype(np.float32)
SCAN = vt.Image(DATA, vt.Grid(SHAPE, TILT))
BLOCKS = np.zeros(SHAPE, np.uint8)
BLOCKS[1:5, 1:4, 1:3] = 3
LABELS = vt.LabelMap(BLOCKS, SCAN.grid)


@pytest.mark.parametrize("volume", [SCAN, LABELS], ids=["image", "labels"])
def test_a_layer_lies_where_the_scan_does(volume):
    layer = napari.layers.Layer.create(*layer_of(volume, "scan"))
    for voxel in np.ndindex(layer.data.shape):
        there = volume.grid.world_to_voxel(np.array(layer.data_to_world(voxel)))
        np.testing.assert_allclose(there, there.round(), atol=1e-5)
        assert layer.data[voxel] == volume.data[tuple(there.round().astype(int))]
    assert is_placed(layer)
    again, ordered = volume_of(layer, type(volume)), reorder_volume_to_ras(volume)
    assert again.grid.is_close(ordered.grid)
    assert np.array_equal(again.data, ordered.data)


def test_the_axes_of_a_layer_are_those_of_the_world():
    """The part of the matrix that napari shows can be inverted, for every slice."""
    layer = napari.layers.Layer.create(*layer_of(SCAN, "scan"))
    linear = affine_of(layer)[:3, :3]
    assert (np.abs(linear).argmax(axis=0) == [0, 1, 2]).all()
    assert (np.diag(linear) > 0).all()


def test_scale_rotation_shift_and_affine_of_any_layer_count():
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    outer = np.diag([1, -1, 1, 1.0])
    layer = napari.layers.Image(
        DATA, scale=(2, 3, 4), translate=(10, 20, 30), rotate=turn, affine=outer
    )
    inner = np.eye(4)
    inner[:3, :3], inner[:3, 3] = turn * [2, 3, 4], [10, 20, 30]
    np.testing.assert_allclose(affine_of(layer), outer @ inner, atol=1e-9)
    assert not is_placed(layer)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (None, "expected a layer, got none chosen"),
        (napari.layers.Image(DATA[0]), "got 2 dimensions"),
        (napari.layers.Image(np.zeros((4, 5, 6, 3)), rgb=True), "got colors"),
        (napari.layers.Image(np.zeros((2, 4, 5, 6))), "got 4 dimensions"),
        (
            napari.layers.Image([DATA, DATA[::2, ::2, ::2]], multiscale=True),
            "a pyramid",
        ),
        (napari.layers.Image(DATA * np.nan), "expected finite voxels"),
    ],
)
def test_what_is_no_volume_is_refused(layer, message):
    with pytest.raises(vt.InputError, match=message):
        volume_of(layer)


@pytest.mark.parametrize("volume", [SCAN, LABELS], ids=["image", "labels"])
def test_a_file_is_opened_in_its_place_and_kind(volume, tmp_path):
    path = vt.write(volume, tmp_path / "scan.nii.gz")
    [(data, options, kind)] = reader_of(str(path))(str(path))
    assert kind == {vt.Image: "image", vt.LabelMap: "labels"}[type(volume)]
    assert options["name"] == "scan"
    ordered = reorder_volume_to_ras(volume)
    np.testing.assert_allclose(options["affine"], ordered.grid.affine, atol=1e-4)
    assert np.array_equal(data, ordered.data)


def test_several_files_are_left_to_other_readers():
    assert reader_of(["a.nii", "b.nii"]) is None
    assert reader_of(["a.nii"]) is not None


def test_the_manifest_names_what_there_is():
    file = Path(__file__).parents[1] / "src" / "napari_voltween" / "napari.yaml"
    manifest = PluginManifest.from_file(file)
    for command in manifest.contributions.commands:
        module, _, name = command.python_name.partition(":")
        assert hasattr(pytest.importorskip(module), name)
    assert "*.nii.gz" in manifest.contributions.readers[0].filename_patterns

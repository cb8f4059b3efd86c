"""The demo as `voltween demo` runs it, on the template at every second voxel."""

import json
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest

from voltween import io
from voltween.cli import main
from voltween.demo import demo
from voltween.errors import MissingPackageError
from voltween.metrics import landmark_distances_mm
from voltween.process import running
from voltween.spatial import Grid, Image, LabelMap


def every_second_voxel(volume):
    data = volume.data[::2, ::2, ::2]
    affine = volume.grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    return type(volume)(data, Grid(data.shape, affine))


def coarse(character):
    i, j, k = character.spacing_mm
    return replace(character, spacing_mm=(2 * i, 2 * j, 2 * k))


@pytest.fixture(name="run", scope="module")
def run_fixture(tmp_path_factory):
    """The folder of one run, and the text that it printed."""
    template, tissues = demo.icbm152()
    assert isinstance(template, Image)
    assert isinstance(tissues, LabelMap)
    small = every_second_voxel(template), every_second_voxel(tissues)
    out = tmp_path_factory.mktemp("demo") / "demo"
    printed = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(demo, "icbm152", lambda: small)
        patch.setattr(demo, "FIXED", coarse(demo.FIXED))
        patch.setattr(demo, "MOVING", coarse(demo.MOVING))
        main(["demo", "--out", str(out)])
    return out, printed.getvalue()


@pytest.fixture(name="folder", scope="module")
def folder_fixture(run):
    return run[0]


def test_the_template_is_stripped_and_has_its_tissues_inside():
    template, tissues = demo.icbm152()
    assert tissues.grid is template.grid
    assert tissues.labels == tuple(demo.TISSUES)
    assert template.data.max() > 0
    assert (template.data == 0).mean() > 0.5
    gray, white = (template.data[tissues.data == label] for label in demo.TISSUES)
    assert gray.mean() < white.mean()


def test_the_overlap_grows_and_nothing_folds(folder):
    figures = json.loads((folder / "registration.json").read_text("utf-8"))
    dice = figures["mean_dice"]
    assert dice["dense 2"] > dice["before"] + 0.1
    assert figures["folding_percent"] < 0.5


def test_the_individuals_are_stored_as_asked(folder):
    for name, character in (("fixed", demo.FIXED), ("moving", demo.MOVING)):
        assert io.read(folder / f"{name}.nii.gz").grid.axcodes == character.axes


def test_landmarks_are_in_the_brain_and_mapped_to_the_true_places(folder):
    fixed, moving = (
        io.read_points(folder / f"{name}_landmarks.csv") for name in ("fixed", "moving")
    )
    transform = io.read_transform(folder / "fixed_to_moving.h5")
    distances_mm = landmark_distances_mm(transform, fixed, moving)
    assert len(distances_mm) == 3
    assert distances_mm.max() < 8
    labels = io.read_labels(folder / "fixed_labels.nii.gz")
    voxels = np.round(labels.grid.world_to_voxel(fixed.mm)).astype(int)
    assert (labels.data[tuple(voxels.T)] > 0).all()


def test_overlap_and_error_are_printed_and_the_picture_is_named(run):
    folder, printed = run
    assert "gray matter" in printed
    assert "error (mm)" in printed
    assert "".join(printed.split()).endswith("report.html")
    assert (folder / "report.html").stat().st_size < 4e6
    assert (folder / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(running, "version", lambda package: None)
    with pytest.raises(MissingPackageError, match=r"nilearn.*voltween\[demo\]"):
        demo.icbm152()

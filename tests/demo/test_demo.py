"""The main job on the embedded default, as `voltween demo` runs it."""

import json

import numpy as np

from voltween import io
from voltween.cli import main
from voltween.demo.demo import MOVING
from voltween.metrics import landmark_distances_mm


def test_demo_registers_two_individuals(tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "demo")])
    figures = json.loads((tmp_path / "demo" / "registration.json").read_text())
    dice = figures["mean_dice"]
    assert dice["dense 2"] > dice["before"] + 0.1
    assert figures["folding_percent"] < 0.5
    assert io.read(tmp_path / "demo" / "moving.nii.gz").grid.axcodes == MOVING.axes
    fixed, moving = (
        io.read_points(tmp_path / "demo" / f"{name}_landmarks.csv")
        for name in ("fixed", "moving")
    )
    transform = io.read_transform(tmp_path / "demo" / "fixed_to_moving.h5")
    distances_mm = landmark_distances_mm(transform, fixed, moving)
    assert len(distances_mm) == 3
    assert distances_mm.max() < 8
    labels = io.read_labels(tmp_path / "demo" / "fixed_labels.nii.gz")
    voxels = np.round(labels.grid.world_to_voxel(fixed.mm)).astype(int)
    assert (labels.data[tuple(voxels.T)] > 0).all()
    shown = capsys.readouterr().out
    assert "gray matter" in shown
    assert "error (mm)" in shown
    assert shown.strip().endswith("overview.png")

"""The main job on the embedded default, as `voltween demo` runs it."""

import json

from voltween import io
from voltween.cli import main
from voltween.demo import MOVING


def test_demo_registers_two_individuals(tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "demo")])
    figures = json.loads((tmp_path / "demo" / "registration.json").read_text())
    dice = figures["mean_dice"]
    assert dice["dense 2"] > dice["before"] + 0.1
    assert figures["folding_percent"] < 0.5
    assert io.read(tmp_path / "demo" / "moving.nii.gz").grid.axcodes == MOVING.axes
    shown = capsys.readouterr().out
    assert "grey matter" in shown
    assert "error (mm)" in shown
    assert shown.strip().endswith("overview.png")

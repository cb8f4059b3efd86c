"""`voltween convert`."""

import numpy as np
import pytest

from support.commands import run_here
from support.scans import FIXED, MOVING, TO_MOVING, random_points_mm
from voltween import io

POINTS_MM = random_points_mm(FIXED.grid, 20)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    io.write(FIXED, tmp_path / "fixed.nii.gz")
    io.write(MOVING, tmp_path / "moving.nii.gz")
    io.write(TO_MOVING, tmp_path / "t.h5")
    return tmp_path


def convert(folder, source, target, out, *options):
    scans = ["--fixed", folder / "fixed.nii.gz", "--moving", folder / "moving.nii.gz"]
    words = ["convert", folder / source, "--to", target, *scans, *options]
    return run_here(*words, "--out", folder / out)


@pytest.mark.parametrize(
    ("target", "name"),
    [("fsl", "a.mat"), ("afni", "a.1D"), ("freesurfer", "a.lta"), ("x5", "a.x5")],
)
def test_there_and_back(target, name, folder, capsys):
    assert convert(folder, "t.h5", target, name) == 0
    assert "from fixed.nii.gz (fixed)" in " ".join(capsys.readouterr().out.split())
    assert convert(folder, name, "itk", "back.tfm") == 0
    back = io.read_transform(folder / "back.tfm").map_positions(POINTS_MM)
    np.testing.assert_allclose(back, TO_MOVING.map_positions(POINTS_MM), atol=1e-3)


@pytest.mark.parametrize(
    ("target", "name", "kind"),
    [
        ("itk", "a.tfm", "matrix"),
        ("itk", "a.nii.gz", "field"),
        ("ants", "a.mat", "matrix"),
        ("learn2reg", "a.nii.gz", "field"),
    ],
)
def test_what_was_written_is_said(target, name, kind, folder, capsys):
    assert convert(folder, "t.h5", target, name) == 0
    assert f"{kind} of t.h5 for {target}" in " ".join(capsys.readouterr().out.split())


def test_field_of_learn2reg_and_back(folder):
    assert convert(folder, "t.h5", "learn2reg", "disp.nii.gz") == 0
    options = "--convention", "learn2reg"
    assert convert(folder, "disp.nii.gz", "itk", "back.nii.gz", *options) == 0
    back = io.read_transform(folder / "back.nii.gz").map_positions(POINTS_MM)
    np.testing.assert_allclose(back, TO_MOVING.map_positions(POINTS_MM), atol=1e-3)


def test_wrong_suffix_ends_in_one_line(folder, capsys):
    assert convert(folder, "t.h5", "fsl", "a.h5") == 2
    assert "a name for a transform of fsl" in " ".join(capsys.readouterr().err.split())

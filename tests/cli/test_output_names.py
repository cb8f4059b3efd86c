"""The name of an output is checked before the work: each command that writes a file."""

import numpy as np
import pytest

from support.cohorts import write_cohort
from support.commands import run_here, write_pair
from support.scans import FIXED, TO_MOVING
from voltween import io
from voltween.cli import (
    apply,
    convert,
    figures,
    import_rcn,
    jacobian,
    plan,
    segment,
    split,
)
from voltween.cli.catalogue import COMMANDS
from voltween.spatial import MultichannelImage, Points

SURFACE = "solid name\nendsolid name\n"

# Module, the function that does its work, the words, and a name that is refused.
CASES = {
    "jacobian": (jacobian, "jacobian_determinant", "t.tfm --onto fixed.nii.gz", "j.h5"),
    "apply image": (apply, "read_transforms", "t.tfm fixed.nii.gz ONTO", "moved.csv"),
    "apply series": (apply, "resample_channels", "t.tfm 4d.nii.gz ONTO", "moved.nrrd"),
    "apply points": (apply, "read_transforms", "t.tfm points.csv", "p.nii.gz"),
    "apply surface": (apply, "read_transforms", "t.tfm mesh.stl", "mesh.gii"),
    "convert itk": (convert, "read_reference_grid", "t.tfm PAIR --to itk", "a.mat"),
    "convert fsl": (convert, "read_reference_grid", "t.tfm PAIR --to fsl", "a.h5"),
    "convert afni": (convert, "read_reference_grid", "t.tfm PAIR --to afni", "a.mat"),
    "convert lta": (convert, "read_reference_grid", "t.tfm PAIR --to freesurfer", "a"),
    "convert x5": (convert, "read_reference_grid", "t.tfm PAIR --to x5", "a.nii"),
    "convert ants": (convert, "read_reference_grid", "t.tfm PAIR --to ants", "a.h5"),
    "convert l2r": (
        convert,
        "read_reference_grid",
        "t.tfm PAIR --to learn2reg",
        "a.h5",
    ),
    "convert dicom": (convert, "read_reference_grid", "t.tfm PAIR --to dicom", "a.h5"),
    "segment": (segment, "segment_scan", "fixed.nii.gz --atlases cases.csv", "l.csv"),
    "plan": (plan, "measure_fingerprint", "cases.csv", "plan.json"),
    "split": (split, "split_cases", "cases.csv", "split.toml"),
    "import-rcn": (import_rcn, "read_rcn_network", "weights", "model.nii.gz"),
    "figures": (figures, "register_by_network", "tweening PAIRED", "figure.nii"),
}
WITHOUT = {
    *("register", "cohort", "template", "prepare", "synthesize", "train", "evaluate"),
    *("compare", "align", "bench", "experiment", "demo", "card"),  # folders
    *("models", "doctor", "completion"),  # no files
    "join",  # a folder, with a manifest of its own name
    "schema",  # text of any name
}


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory):
    folder = write_pair(tmp_path_factory.mktemp("names"))
    write_cohort(folder)
    io.write(TO_MOVING, folder / "t.tfm")
    io.write(Points(FIXED.grid.center_mm[None]), folder / "points.csv")
    data = np.stack([FIXED.data, FIXED.data], axis=-1)
    io.write(MultichannelImage(data, FIXED.grid, "series"), folder / "4d.nii.gz")
    (folder / "mesh.stl").write_text(SURFACE)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_name_is_refused_before_the_work(
    case, folder, monkeypatch, capsys, tmp_path
):
    module, work, words, name = CASES[case]

    def refuse(*_, **__):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(module, work, refuse)
    monkeypatch.chdir(folder)
    words = words.replace("ONTO", "--onto fixed.nii.gz")
    words = words.replace("PAIRED", "fixed.nii.gz moving.nrrd --model brain")
    words = words.replace("PAIR", "--fixed fixed.nii.gz --moving moving.nrrd")
    out = tmp_path / name
    command = case.split()[0]
    assert run_here(command, *words.split(), "--out", out) == 2
    error = capsys.readouterr().err
    assert "that ends in" in error
    assert str(out) in error
    assert not list(tmp_path.iterdir())


def test_every_command_is_here():
    assert {case.split()[0] for case in CASES} | WITHOUT == {*COMMANDS}

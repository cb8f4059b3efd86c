"""Tools run by a stand-in child: their tasks, their output as read, their failures."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from support.cohorts import blob
from support.scans import STORAGE_ORDERS, random_points_mm, smooth_field, stored
from voltween import io
from voltween.baselines import TOOLS, elastix_with, tools
from voltween.errors import InputError, MissingPackageError
from voltween.process import Used, running
from voltween.spatial import Affine

USED = Used(1.5, 1.25, 70_000_000, 0.5)
FIXED = stored(blob(0)[0], STORAGE_ORDERS[13])
MOVING = stored(blob(1)[0], STORAGE_ORDERS[38])
SHIFT = np.eye(4)
SHIFT[:3, 3] = MOVING.grid.center_mm - FIXED.grid.center_mm + [1.0, -2.0, 3.0]
FIELD = smooth_field(FIXED.grid, 1)
COPY = """
import json, os, shutil, sys
recorded, folder = {recorded!r}, sys.argv[1]
shutil.copytree(recorded, folder, dirs_exist_ok=True)
shutil.copy(folder + "/fixed.nii", recorded + "/given.nii")
with open(recorded + "/told.json", "w") as file:
    task = json.load(open(folder + "/task.json"))
    json.dump([task, os.environ.get("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")], file)
"""


@pytest.fixture(name="run_child")
def run_child_fixture(tmp_path, monkeypatch):
    """Makes a script the child of every tool; their packages count as installed."""

    def run_child(script):
        (tmp_path / "child.py").write_text(script)
        monkeypatch.setattr(tools, "_CHILD", tmp_path / "child.py")
        monkeypatch.setattr(running, "version", lambda package: "1")

    return run_child


def record(name, folder, *, roll_voxels=0):
    """Writes the files of a tool that finds a known transform, which is returned.

    The tool's moved image is rolled by some voxels, which makes it another one.
    """
    folder.mkdir()
    transform = {
        "elastix": FIELD,
        "ants-affine": Affine(SHIFT),
        "convexadam": TOOLS["convexadam"].initial(FIXED.grid, MOVING.grid) @ FIELD,
    }.get(name, Affine(SHIFT) @ FIELD)
    for part in transform.parts():
        if isinstance(part, Affine):
            _write_affine(part, folder)
        else:
            field = {"elastix": "field.mha", "greedy": "warp.nii.gz"}
            field["greedy-nmi"] = field["greedy"]
            io.write(part, folder / field.get(name, "1Warp.nii.gz"))
            np.save(folder / "flow.npy", part.to_flow())
    moved = transform.resample(MOVING, onto=FIXED.grid)
    rolled = type(moved)(np.roll(moved.data, roll_voxels, 0), moved.grid)
    io.write(rolled, folder / TOOLS[name].moved)
    (folder / "used.json").write_text(json.dumps(vars(USED)))
    return transform


def _write_affine(affine, folder):
    """Writes the matrix as ANTs and as greedy do."""
    path = io.write(affine, folder / "affine.tfm")
    ants_affine = sitk.AffineTransform(sitk.ReadTransform(str(path)))
    sitk.WriteTransform(ants_affine, str(folder / "0GenericAffine.mat"))
    np.savetxt(folder / "affine.mat", affine.matrix)


@pytest.mark.parametrize("name", TOOLS)
def test_the_files_of_a_tool_are_read_as_its_transform(name, run_child, tmp_path):
    recorded = tmp_path / "recorded"
    transform = record(name, recorded)
    run_child(COPY.format(recorded=str(recorded)))
    found, used = TOOLS[name].run(FIXED, MOVING, threads=3)
    assert used == USED
    points_mm = random_points_mm(FIXED.grid)
    np.testing.assert_allclose(
        found.map_positions(points_mm), transform.map_positions(points_mm), atol=1e-3
    )
    task, threads = json.loads((recorded / "told.json").read_text("utf-8"))
    assert task == json.loads(json.dumps(TOOLS[name].task()))
    assert threads == "3"
    given = io.read(recorded / "given.nii")
    assert given.grid.is_close(FIXED.grid)
    np.testing.assert_allclose(given.data, FIXED.data, rtol=1e-6)


@pytest.mark.parametrize("name", ["ants", "elastix", "greedy", "convexadam"])
def test_a_moved_image_that_is_not_ours_is_refused(name, run_child, tmp_path):
    record(name, tmp_path / "recorded", roll_voxels=1)
    run_child(COPY.format(recorded=str(tmp_path / "recorded")))
    tool = TOOLS[name]
    with pytest.raises(InputError, match=f"^{tool.name}: expected a transform that re"):
        tool(FIXED, MOVING)


def test_the_commands_are_the_papers_word_for_word():
    files = {"{folder}/fixed.nii": "F", "{folder}/moving.nii": "M"}
    command = TOOLS["ants"].task()["command"]
    aligning = TOOLS["ants-affine"].task()["command"]
    for file, letter in files.items():
        command = command.replace(file, letter)
        aligning = aligning.replace(file, letter)
    affine = (
        "-u 1 -w [0.025,0.975] -r [F,M,1] "
        "-t Rigid[0.1] -m MI[F,M,1,32,Regular,0.2] -c [2000x2000x2000,1e-9,15] "
        "-s 2x1x0 -f 4x2x1 "
        "-t Affine[0.1] -m MI[F,M,1,32,Regular,0.1] -c [2000x2000x2000,1e-9,15] "
        "-s 2x1x0 -f 4x2x1"
    )
    syn = (
        "-t SyN[0.15,3.0,0.0] -m CC[F,M,1,4] -c [100x100x100x50,1e-9,15] "
        "-s 3x2x1x0 -f 6x4x2x1"
    )
    words = command.split()
    assert words[:3] == ["-d", "3", "-o"]
    assert " ".join(words[4:]) == f"{affine} {syn}"
    assert aligning.split() == words[: 4 + len(affine.split())]


def test_elastix_has_affine_then_b_spline_of_1000_iterations():
    stages = TOOLS["elastix"].task()["stages"]
    assert [kind for kind, _ in stages] == ["affine", "bspline"]
    assert stages[1][1]["MaximumNumberOfIterations"] == "1000"


def test_other_iterations_of_elastix_are_facts_of_its_answers():
    few = elastix_with(50)
    assert few.task()["stages"][1][1]["MaximumNumberOfIterations"] == "50"
    assert few.facts == {"iterations": "50"}
    assert not TOOLS["elastix"].facts


@pytest.mark.parametrize("name", TOOLS)
def test_a_missing_package_is_named(name, monkeypatch):
    monkeypatch.setattr(running, "version", lambda package: None)
    package = TOOLS[name].package
    with pytest.raises(MissingPackageError, match=rf"{package}.*voltween\[baselines\]"):
        TOOLS[name](FIXED, MOVING)


def test_a_tool_that_fails_or_crashes_says_so(run_child):
    bad = "import sys; sys.stderr.write('one\\nall is lost\\n'); sys.exit(1)"
    silent = "import sys; sys.exit(3)"
    crash = "import os; os.kill(os.getpid(), 11)"
    for script, message in (
        (bad, "all is lost"),
        (silent, "ended with code 3"),
        (crash, "crashed, signal 11"),
    ):
        run_child(script)
        with pytest.raises(InputError, match=rf"^ANTs: expected images.*{message}"):
            TOOLS["ants"](FIXED, MOVING)

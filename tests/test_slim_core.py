"""With the required packages alone: what works, and what the other commands say."""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import voltween as vt
from support.cohorts import write_cohort
from support.known_pair import error_mm, known_pair, scene_points_mm
from support.native import needs_native
from support.slim import normal
from voltween import io

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def names_in(requirements):
    """Names of the distributions that requirements without extras ask for here."""
    parsed = map(Requirement, requirements)
    return {
        normal(one.name)
        for one in parsed
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def core():
    """The required distributions, and those that they require themselves."""
    reached, open_names = {"voltween"}, names_in(PROJECT["dependencies"])
    while open_names:
        name = open_names.pop()
        reached.add(name)
        try:
            open_names |= names_in(requires(name) or ()) - reached
        except PackageNotFoundError:  # of another Python
            continue
    return sorted(reached)


def commands(folder):
    """Words of each command, and the extra that it needs."""
    transform = folder / "slim/fixed_to_moving.h5"
    cases, scans = (
        folder / "cases.csv",
        (folder / "fixed.nii.gz", folder / "moving.nrrd"),
    )
    pair = "--fixed", scans[0], "--moving", scans[1]
    out = "--out", folder / "out.x5"
    return {
        "demo": (("demo", "--out", folder / "demo"), "demo"),
        "plan": (("plan", cases), "train"),
        "train": (("train", cases, "--out", folder / "run", "--steps", 1), "train"),
        "curves": (("figures", "curves", folder, "--out", folder / "a.png"), "figures"),
        "mesh": (
            ("apply", transform, folder / "a.stl", "--out", folder / "b.stl"),
            "figures",
        ),
        "x5": (("convert", transform, "--to", "x5", *pair, *out), "formats"),
        "align": (
            ("align", cases, "--out", folder / "aligned"),
            "baselines",
        ),
        "workers": (
            ("cohort", cases, *pair[:2], "--out", folder / "many", "--workers", 2),
            "cluster",
        ),
    }


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Folder, and exit code and error output of each command, in one process."""
    folder = tmp_path_factory.mktemp("slim")
    pair = folder / "fixed.nii.gz", folder / "moving.nrrd"
    for scan, path in zip(known_pair(), pair, strict=True):
        io.write(scan, path)
    write_cohort(folder, train=2, val=1)
    (folder / "a.stl").write_bytes(bytes(84))
    doors = commands(folder)
    model, out = ("--model", "none"), ("--out", folder / "slim")
    applied = "--onto", pair[0], "--out", folder / "applied.nii.gz"
    jobs = [
        ("register", *pair, *model, *out),
        ("apply", folder / "slim/fixed_to_moving.h5", pair[1], *applied),
        *(words for words, _ in doors.values()),
    ]
    words = [list(map(str, job)) for job in jobs]
    done = subprocess.run(
        [sys.executable, "-m", "support.slim", json.dumps(core()), json.dumps(words)],
        env=os.environ
        | {"VOLTWEEN_INSTRUCTIONS": "none", "OMP_NUM_THREADS": "1"}
        | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])},
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout.splitlines()[-1])
    return folder, dict(zip(["register", "apply", *doors], results, strict=True))


@pytest.mark.parametrize("command", ["register", "apply"])
def test_registering_and_applying_need_no_extra(outcomes, command):
    code, errors = outcomes[1][command]
    assert code == 0, errors
    assert "pip install" not in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("door", commands(Path()))
def test_a_missing_extra_is_named(outcomes, door):
    code, errors = outcomes[1][door]
    assert code in (1, 2), errors  # 1: of many scans, all failed
    assert f"pip install 'voltween[{commands(Path())[door][1]}]'" in errors
    assert "Traceback" not in errors


def test_an_image_is_the_same_as_with_everything(outcomes):
    folder = outcomes[0]
    moved, applied = (
        io.read(folder / n) for n in ("slim/moved.nii.gz", "applied.nii.gz")
    )
    # The file has the transform in steps of a 2048th of its spacing.
    np.testing.assert_allclose(moved.data, applied.data, rtol=1e-3, atol=1e-2)


@needs_native
def test_a_registration_is_as_good_as_with_the_compiled_operations(outcomes):
    folder = outcomes[0]
    fixed, moving = (io.read(folder / n) for n in ("fixed.nii.gz", "moving.nrrd"))
    compiled = vt.register(fixed, moving, model=None).fixed_to_moving
    stock = io.read_transform(folder / "slim/fixed_to_moving.h5")
    assert error_mm(stock) < 0.3
    assert error_mm(compiled) < 0.3
    points = scene_points_mm()
    apart = np.linalg.norm(
        stock.map_positions(points) - compiled.map_positions(points), axis=1
    )
    assert np.median(apart) < 0.15  # of voxels of 1.3 mm: rounding sways the descent


def test_all_has_every_extra_but_those_of_developers():
    extras = PROJECT["optional-dependencies"]
    named = {Requirement(one).extras.pop() for one in extras["all"]}
    nested = {"report"}  # within figures
    assert named | nested == set(extras) - {"all", "bench", "dev", "docs"}

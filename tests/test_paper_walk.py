"""The way from downloads to tables and figures, `make paper-small`, shrunken."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from voltween.cohorts import read_manifest

ROOT = Path(__file__).parents[1]
SHRUNKEN = {
    "STAND_INS": "--spacing-mm 10 --train-scans 2 --test-scans 2",
    "SETTINGS": "--shape 16 16 16 --channels 2 --steps 2 --validate-every 2 "
    "--max-pairs 1",
    "LIVER_TABLES": "3",
    "LIVER_FIGURES": "10",
    "BRAIN_TABLES": "",  # all of them align scans by ANTs, which takes minutes
    "BRAIN_FIGURES": "",
}


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Runs parts of the walk in one folder, which it returns."""
    folder = tmp_path_factory.mktemp("walk")
    for name, call in (
        ("python", ""),
        ("voltween", '-c "from voltween.cli import main; main()"'),
    ):
        command = folder / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        command.chmod(0o755)
    path = os.pathsep.join((str(folder / "bin"), os.environ["PATH"]))
    environment = os.environ | SHRUNKEN | {"PATH": path}

    def run(part):
        script = ROOT / "runs" / "paper_small.sh"
        subprocess.run(
            ["bash", str(script), str(folder / "out"), part],
            env=environment,
            check=True,
        )
        return folder / "out"

    return run


def test_livers_become_a_table_and_figures(walk):
    out = walk("liver")
    cases = read_manifest(out / "liver" / "split.csv")
    assert {case.cohort for case in cases} == {"lits", "own", "sliver07"}
    tests = {case.name for case in cases if case.split == "test"}
    assert tests == {"sliver07-001", "sliver07-002"}
    with (out / "sliver07" / "log.csv").open(newline="") as file:
        assert all("mean of 3 raters" in row["points"] for row in csv.DictReader(file))
    table = (out / "liver" / "tables" / "small" / "table_3" / "table.md").read_text(
        "utf-8"
    )
    headings, _, *rows = (
        line.strip("| ").split(" | ")
        for line in table.splitlines()
        if line.startswith("|")
    )
    assert [row[0] for row in rows] == ["LITS", "LITS + BFH"]
    measured = headings.index("s, CPU")
    for row in rows:
        assert all(float(cell) > 0 for cell in row[1 : measured + 1]), headings
    with Image.open(out / "figure_10.png") as figure:
        assert np.ptp(np.asarray(figure.convert("L"))) == 255


def test_brains_become_a_cohort(walk):
    out = walk("brain")
    cases = read_manifest(out / "brain" / "split.csv")
    counts = {
        c: sum(case.cohort == c for case in cases)
        for c in ("adni", "abide1", "abide2", "adhd200", "lpba40")
    }
    assert counts == dict.fromkeys(counts, 2)
    tests = [case for case in cases if case.split == "test"]
    assert {case.cohort for case in tests} == {"lpba40"}
    assert all(case.labels and case.points for case in tests)
    assert {case.name for case in tests} == {"S01", "S02"}  # S03 is not in the list

"""A cohort with failures, run to its end and again: only what is missing is done."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

from support.commands import run_here
from support.phantoms import (
    BROKEN,
    phantom,
    phantom_grid,
    write_manifest_of,
    write_phantoms,
)
from voltween import io
from voltween.batches import pair_job

CHEAP = ("--model", "none", "--refine", 4, "--transform", "deformable")
SHIFTS = {"atlas": (0, 0, 0), "a-1": (6, 0, 0), "a-2": (0, -8, 2), "b-1": (2, 2, 2)}
GOOD = [name for name in SHIFTS if name != "atlas"]

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def state_of(folder, name):
    (row,) = (row for row in read_rows(folder / "pairs.csv") if row["name"] == name)
    return row["state"]


def times(folder):
    """When every file of the results was written."""
    return {
        path: path.stat().st_mtime_ns
        for path in sorted((folder / "cases").rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", name="scans")
def scans_fixture(tmp_path_factory):
    """Shifted phantoms and broken scans with a manifest."""
    folder = write_phantoms(tmp_path_factory.mktemp("scans"), SHIFTS)
    write_manifest_of(folder, GOOD)
    lines = (folder / "cases.csv").read_text("utf-8").splitlines()
    for kind, (write, _) in BROKEN.items():
        write(folder / f"{kind}.nii.gz")
        lines.append(f"{kind},{kind}.nii.gz,,,test,{kind}")
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder


def words(scans, out, *more):
    files = ["--fixed-labels", scans / "atlas_labels.nii.gz"]
    files += ["--fixed-points", scans / "atlas.csv"]
    to = ["--fixed", scans / "atlas.nii.gz", *files, "--out", out]
    return ["cohort", scans / "cases.csv", *to, *CHEAP, *more]


@pytest.fixture(scope="module", name="done")
def done_fixture(scans, tmp_path_factory):
    """The folder of a run to the end, and its exit code."""
    out = tmp_path_factory.mktemp("cohort") / "out"
    return out, run_here(*words(scans, out))


def test_good_cases_are_done_and_broken_ones_named(done):
    out, code = done
    assert code == 1
    rows = {row["name"]: row for row in read_rows(out / "pairs.csv")}
    assert {n for n, row in rows.items() if row["state"] == "done"} == {*GOOD}
    for kind, (_, text) in BROKEN.items():
        assert rows[kind]["state"] == "failed"
        assert text in rows[kind]["error"]
        assert not (out / "cases" / kind).exists()
    assert [row["state"] for row in rows.values()] == ["failed"] * 8 + ["done"] * 3
    states = {row["name"]: row["state"] for row in read_rows(out / "status.csv")}
    assert states == {name: rows[name]["state"] for name in rows}


def test_pairs_stand_worst_first_with_their_verdicts(done):
    rows = [r for r in read_rows(done[0] / "pairs.csv") if r["state"] == "done"]
    grades = ["failed", "doubtful", "good"]
    ranks = [(grades.index(r["verdict"]), float(r["similarity"])) for r in rows]
    assert ranks == sorted(ranks)
    assert all(float(row["landmark_mm"]) < 1 for row in rows)
    assert all(row["folder"] == f"cases/{row['name']}" for row in rows)


def test_the_summary_lists_the_failures(done):
    text = (done[0] / "summary.md").read_text("utf-8")
    assert "3 of 11 pairs are registered" in text
    assert "8 could not be registered" in text
    assert all(f"- {kind}: " in text for kind in BROKEN)


@pytest.mark.parametrize("name", GOOD)
def test_labels_and_points_are_carried_both_ways(name, scans, done):
    folder, shift = done[0] / "cases" / name, np.array(SHIFTS[name], float)
    labels = io.read_labels(folder / "carried_labels.nii.gz")
    assert labels.grid.is_close(phantom_grid(shift))
    atlas = io.read_labels(scans / "atlas_labels.nii.gz")
    assert (labels.data == atlas.data).mean() > 0.97  # the phantom moves with its grid
    carried = io.read_points(folder / "carried_points.csv")
    np.testing.assert_allclose(carried.mm[0], shift, atol=1.0)
    moved = io.read_points(folder / "moved_points.csv")
    np.testing.assert_allclose(moved.mm[0], 0, atol=1.0)
    moved_labels = io.read_labels(folder / "moved_labels.nii.gz")
    assert moved_labels.grid.is_close(phantom_grid())


def test_a_case_has_the_bytes_of_register(scans, done, tmp_path):
    folder = done[0] / "cases" / "a-1"
    record = json.loads((folder / "registration.json").read_text("utf-8"))
    command = record["command"].split()[1:]
    points = ["--fixed-points", "--moving-points"]  # they would guide here
    assert not {*points} & {*command}
    command[command.index("--out") + 1] = str(tmp_path / "one")
    assert run_here(*command) == 0
    files = {path.name for path in folder.iterdir()}
    alone = {path.name for path in (tmp_path / "one").iterdir()}
    assert files - alone == {"carried_points.csv", "moved_points.csv"}
    for name in alone - {"registration.json", "report.html"}:  # both have the date
        assert (tmp_path / "one" / name).read_bytes() == (folder / name).read_bytes()
    other = json.loads((tmp_path / "one" / "registration.json").read_text("utf-8"))
    for key in ("verdict", "correlation", "dice", "model", "refinement", "warnings"):
        assert other[key] == record[key]


def test_a_second_run_does_nothing(scans, done, tmp_path, monkeypatch):
    out = shutil.copytree(done[0], tmp_path / "out")
    before = times(out)
    monkeypatch.setattr(pair_job, "register", fail)
    assert run_here(*words(scans, out)) == 1  # the failures are still there
    assert times(out) == before
    states = [row["state"] for row in read_rows(out / "status.csv")]
    assert states.count("kept") == 3
    assert states.count("failed") == 8


def fail(*_, **__):
    raise AssertionError("registered again")


def test_only_what_is_missing_is_done(scans, done, tmp_path):
    out = shutil.copytree(done[0], tmp_path / "out")
    shutil.rmtree(out / "cases" / "a-2")
    before = times(out)
    assert run_here(*words(scans, out)) == 1
    after = times(out)
    assert {path.parent.name for path in after.keys() - before.keys()} == {"a-2"}
    assert {path: after[path] for path in before} == before
    moved = [folder / "cases" / "a-2" / "moved.nii.gz" for folder in (out, done[0])]
    assert moved[0].read_bytes() == moved[1].read_bytes()


def test_other_options_or_files_are_other_work(scans, done, tmp_path):
    out = shutil.copytree(done[0], tmp_path / "out")
    ours = shutil.copytree(scans, tmp_path / "scans")
    io.write(phantom((1, 1, 1))[0], ours / "empty.nii.gz")  # mended meanwhile
    before = times(out)
    assert run_here(*words(ours, out)) == 1
    after = times(out)
    assert {path.parent.name for path in after.keys() - before.keys()} == {"empty"}
    assert not (out / "failed" / "empty.json").exists()
    assert {path: after[path] for path in before} == before
    mended = (ours / "empty.nii.gz").read_bytes()
    (ours / "empty.nii.gz").write_bytes(b"")
    assert run_here(*words(ours, out)) == 1
    assert state_of(out, "empty") == "failed"
    (ours / "empty.nii.gz").write_bytes(mended)
    assert run_here(*words(ours, out)) == 1
    assert state_of(out, "empty") == "done"
    assert times(out) == after
    assert run_here(*words(ours, out, "--outputs", "transform")) == 1
    files = {path.name for path in (out / "cases" / "a-1").iterdir()}
    assert files == {"registration.json", "fixed_to_moving.h5"}


def test_failed_pairs_are_tried_again_if_asked(scans, done, tmp_path, monkeypatch):
    out = shutil.copytree(done[0], tmp_path / "out")
    tried = []

    def read(path):
        tried.append(path)
        return original(path)

    original = io.read
    monkeypatch.setattr(pair_job.io, "read", read)
    assert run_here(*words(scans, out)) == 1
    assert not tried
    assert run_here(*words(scans, out, "--retry-failed")) == 1
    names = [path.name for path in tried]
    assert set(names) - {"atlas.nii.gz"} == {f"{kind}.nii.gz" for kind in BROKEN}
    assert names.count("atlas.nii.gz") <= 1


def test_a_failure_after_a_success_names_the_result_that_is_left(scans, done, tmp_path):
    """A disk that is not there for a while does not cost the results."""
    ours = shutil.copytree(scans, tmp_path / "scans")
    out = shutil.copytree(done[0], tmp_path / "out")
    scan = ours / "a-1.nii.gz"
    scan.rename(tmp_path / "away")
    assert run_here(*words(ours, out)) == 1
    (row,) = (row for row in read_rows(out / "pairs.csv") if row["name"] == "a-1")
    assert (row["state"], row["folder"]) == ("failed", "cases/a-1")
    left = "(cases/a-1 has the result of earlier files or options)"
    assert row["error"].endswith(left)
    assert left in (out / "index.html").read_text("utf-8")
    (tmp_path / "away").rename(scan)
    before = times(out)
    assert run_here(*words(ours, out)) == 1
    assert times(out) == before
    (row,) = (row for row in read_rows(out / "pairs.csv") if row["name"] == "a-1")
    assert (row["state"], row["error"]) == ("done", "")


def test_parts_share_a_folder(scans, done, tmp_path):
    out = tmp_path / "out"
    assert run_here(*words(scans, out, "--part", "1/2")) == 1
    first = {row["name"] for row in read_rows(out / "parts" / "1-of-2" / "status.csv")}
    rows = read_rows(out / "pairs.csv")
    assert {row["name"] for row in rows if row["state"] != "missing"} == first
    assert run_here(*words(scans, out, "--part", "2/2")) == 1
    rows = read_rows(out / "pairs.csv")
    assert [row["name"] for row in rows] == [
        row["name"] for row in read_rows(done[0] / "pairs.csv")
    ]
    assert times(out).keys() == {out / p.relative_to(done[0]) for p in times(done[0])}


def test_every_case_has_a_folder_of_its_own(tmp_path):
    scans = write_phantoms(tmp_path / "scans", {"x": (0, 0, 0), "y": (2, 0, 0)})
    rows = ["fixed,moving", "x.nii.gz,y.nii.gz", "y.nii.gz,x.nii.gz"]
    (scans / "pairs.csv").write_text("\n".join(rows))
    listed = ["cohort", scans / "pairs.csv", "--out", tmp_path / "out", *CHEAP]
    assert run_here(*listed, "--outputs", "transform") == 0
    folders = {path.name for path in (tmp_path / "out" / "cases").iterdir()}
    assert folders == {"y_to_x", "x_to_y"}
    there, back = (
        io.read_transform(tmp_path / "out" / "cases" / name / "fixed_to_moving.h5")
        for name in ("y_to_x", "x_to_y")
    )
    point = np.zeros((1, 3))
    np.testing.assert_allclose(there.map_positions(point), [[2, 0, 0]], atol=0.7)
    np.testing.assert_allclose(back.map_positions(point), [[-2, 0, 0]], atol=0.7)


def test_inputs_are_not_written_over(scans, tmp_path):
    ours = shutil.copytree(scans, tmp_path / "cases")
    code = run_here(*words(ours, tmp_path), "--outputs", "transform")
    assert code == 1
    for path in scans.iterdir():
        assert (ours / path.name).read_bytes() == path.read_bytes()
    assert os.listdir(tmp_path / "cases")

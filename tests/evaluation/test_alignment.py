"""Pre-alignment to an atlas: transforms mapped back, aligned cohorts."""

import csv
import errno
import os
import time
from dataclasses import replace

import numpy as np
import pytest

from support.cohorts import blob, write_cohort
from voltween import io
from voltween.cli import main
from voltween.cohorts import load_case, read_manifest
from voltween.errors import MissingPackageError, OutputError
from voltween.evaluation import Method, align_cases, alignment, evaluate
from voltween.evaluation.alignment import Alignment, prealign
from voltween.evaluation.methods import Answer
from voltween.process import Used
from voltween.spatial import Affine, Points
from voltween.storage import whole_file
from voltween.workers import Runner


class Known:
    """Stands for ANTs: knows the answer, and counts."""

    package = "antspyx"

    def __init__(self):
        self.asked = 0

    def check_installed(self):
        pass

    def run(self, fixed, moving):
        self.asked += 1
        matrix = np.diag([1.1, 0.9, 1.0, 1.0])
        matrix[:3, 3] = moving.grid.center_mm - matrix[:3, :3] @ fixed.grid.center_mm
        return Affine(matrix), Used(seconds=1.0)


@pytest.fixture(name="known")
def known_fixture(monkeypatch):
    known = Known()
    monkeypatch.setitem(alignment.TOOLS, "ants-affine", known)
    monkeypatch.setattr(alignment, "version", lambda package: "1")
    return known


def test_a_scan_is_aligned_once(known, tmp_path):
    atlas, image = blob(0)[0], blob(1)[0]
    wanted = known.run(atlas, image)[0].matrix
    for _ in range(2):
        found = Alignment(atlas, tmp_path / "kept").of(image)
        assert np.allclose(found.matrix, wanted, atol=1e-9)
    assert known.asked == 2  # once here, once there
    Alignment(blob(2)[0], tmp_path / "kept").of(image)
    assert known.asked == 3


def test_what_is_found_on_the_atlas_is_carried_to_the_scans_worlds(known, tmp_path):
    atlas, fixed, moving = (blob(n)[0] for n in range(3))
    seen = []
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 3

    def register(on_atlas, moving_on_atlas):
        seen.append((on_atlas, moving_on_atlas))
        return Answer(Affine(shift), {"dense 1": Affine(shift)})

    aligned = Alignment(atlas, tmp_path)
    method = prealign(Method("inner", lambda: register), aligned, name="inner*")
    answer = method.load()(fixed, moving)
    to_fixed, to_moving = aligned.of(fixed), aligned.of(moving)
    assert method.name == "inner*"
    assert np.array_equal(
        seen[0][1].data, to_moving.resample(moving, onto=atlas.grid).data
    )
    on_atlas_mm = atlas.grid.center_mm[None]
    start = to_fixed.map_positions(on_atlas_mm)
    end = to_moving.map_positions(on_atlas_mm + np.array([1, 2, 3]))
    assert np.allclose(answer.fixed_to_moving.map_positions(start), end)
    assert answer.stages == {"dense 1": answer.fixed_to_moving}  # measured once


def test_the_alignment_does_not_count_as_time_of_the_pair(known, tmp_path, monkeypatch):
    """Section V-B a: times do not include the preprocessing with ANTs."""
    aligned_at_once = known.run

    def align_slowly(fixed, moving):
        time.sleep(1)
        return aligned_at_once(fixed, moving)

    monkeypatch.setattr(known, "run", align_slowly)
    (tmp_path / "cohort").mkdir()
    cases = read_manifest(write_cohort(tmp_path / "cohort", 1, 2))
    inner = Method("inner", lambda: lambda *pair: Answer(Affine.identity()))
    atlas = Alignment(load_case(cases[0])[0], tmp_path / "kept")
    (score,) = evaluate(
        [prealign(inner, atlas, name="inner*")],
        cases,
        pairs=[(cases[1].name, cases[2].name)],
        out=tmp_path / "out",
    ).pairs
    assert known.asked == 2
    assert score.seconds < 1


def test_a_cohort_is_laid_on_the_atlas(known, tmp_path):
    (tmp_path / "cohort").mkdir()
    cases = read_manifest(write_cohort(tmp_path / "cohort", 2, 2))
    cases = [replace(case, subject=case.name[-1], cohort="blobs") for case in cases]
    atlas = load_case(cases[0])[0]
    found = Alignment(atlas, tmp_path / "kept")
    made = align_cases(cases, found, tmp_path / "aligned")
    assert read_manifest(tmp_path / "aligned" / "cases.csv") == made
    assert [(case.subject, case.cohort) for case in made[:2]] == [
        ("0", "blobs"),
        ("1", "blobs"),
    ]
    image, labels = load_case(made[2])
    assert image.grid.is_close(atlas.grid)
    plain, plain_labels = load_case(cases[2])
    wanted = found.of(plain).resample(plain_labels, onto=atlas.grid)
    assert np.array_equal(labels.data, wanted.data)
    before = known.asked
    align_cases(cases, found, tmp_path / "aligned")
    assert known.asked == before
    # Another scan of the same name takes the place of the one before.
    for volume, path in zip(
        load_case(cases[3]), (cases[2].image, cases[2].labels), strict=True
    ):
        io.write(volume, path)
    again = align_cases(cases, found, tmp_path / "aligned")
    assert known.asked == before
    assert not np.array_equal(load_case(again[2])[0].data, image.data)


def test_without_ants_it_is_said_what_to_install(known, tmp_path, monkeypatch):
    def fail():
        raise MissingPackageError(expected="antspyx", got="none", advice="install it")

    monkeypatch.setattr(known, "check_installed", fail)
    with pytest.raises(MissingPackageError):
        _ = Alignment(blob(0)[0], tmp_path).facts


def test_points_go_along(known, tmp_path):
    (tmp_path / "cohort").mkdir()
    manifest = write_cohort(tmp_path / "cohort", 2, 2)
    cases = list(read_manifest(manifest))
    point = load_case(cases[1])[0].grid.center_mm + np.array([4, 5, 6])
    text = "x,y,z,frame\n" + ",".join([*(repr(float(mm)) for mm in point), "RAS"])
    (tmp_path / "points.csv").write_text(text)
    lines = manifest.read_text("utf-8").splitlines()
    lines = [f"{line}," for line in lines]
    lines[0] = lines[0] + "points"
    lines[2] += str(tmp_path / "points.csv")
    manifest.write_text("\n".join(lines))
    cases = read_manifest(manifest)
    aligned = Alignment(load_case(cases[0])[0], tmp_path / "kept")
    made = align_cases(cases, aligned, tmp_path / "aligned")
    carried = io.read_points(made[1].points).mm
    to_scan = aligned.of(load_case(cases[1])[0])
    assert np.allclose(to_scan.map_positions(carried), point, atol=1e-4)


def test_a_case_that_fails_is_named_and_the_others_are_aligned(known, tmp_path):
    (tmp_path / "cohort").mkdir()
    cases = read_manifest(write_cohort(tmp_path / "cohort", 2, 2))
    atlas = load_case(cases[0])[0]
    cases[1].image.write_bytes(b"no scan")
    runner, alignment = Runner(), Alignment(atlas, tmp_path / "kept")
    align_cases(cases, alignment, tmp_path / "aligned", runner=runner)
    assert list(runner.status.failures) == ["case1"]
    assert "image1.nii.gz: expected" in runner.status.failures["case1"]
    made = read_manifest(tmp_path / "aligned" / "cases.csv")
    assert [case.name for case in made] == ["case0", "case2", "case3"]


def test_a_case_that_fails_makes_the_exit_code_1(known, tmp_path, capsys):
    (tmp_path / "cohort").mkdir()
    manifest = write_cohort(tmp_path / "cohort", 2, 2)
    (tmp_path / "cohort" / "image1.nii.gz").write_bytes(b"no scan")
    with pytest.raises(SystemExit) as ended:
        main(["align", str(manifest), "--out", str(tmp_path / "aligned")])
    assert ended.value.code == 1
    assert "case1: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["case1.nii.gz", ".tfm"])
def test_a_full_disk_ends_the_run_in_one_line(name, known, tmp_path, monkeypatch):
    (tmp_path / "cohort").mkdir()
    manifest = write_cohort(tmp_path / "cohort", 2, 2)
    write = io.write

    def write_some(volume, path):
        if path.name.endswith(name):
            raise_full(path)
        return write(volume, path)

    def raise_full(path):
        with whole_file(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(io, "write", write_some)
    aligned = tmp_path / "aligned"
    cases = read_manifest(manifest)
    found = Alignment(load_case(cases[0])[0], tmp_path / "kept")
    with pytest.raises(OutputError, match="No space left"):
        align_cases(cases, found, aligned)
    assert known.asked == (2 if name == "case1.nii.gz" else 1)
    assert not (aligned / "cases.csv").exists()


def test_landmarks_of_an_aligned_cohort_are_measured_on_the_scans_as_they_are(
    known, tmp_path
):
    """Section V-B a: the distance is that of the original scans."""
    manifest = write_cohort(tmp_path, 2, 2)
    names = [f"case{number}" for number in range(4)]
    for name in names:
        image = io.read(tmp_path / f"image{name[-1]}.nii.gz")
        io.write(Points(image.grid.center_mm[None] + 10), tmp_path / f"{name}.csv")
    lines = manifest.read_text("utf-8").splitlines()
    lines = [lines[0] + ",points", *map("{},{}.csv".format, lines[1:], names)]
    manifest.write_text("\n".join(lines))
    aligned, compared = tmp_path / "aligned", tmp_path / "compared"
    main(["align", str(manifest), "--out", str(aligned)])
    assert [case.name for case in read_manifest(aligned / "cases.csv")] == names
    command = ["compare", str(manifest), "--methods", "aligned:identity"]
    main([*command, "--aligned", str(aligned), "--out", str(compared)])
    with (compared / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    # Known lays all middles on one another and scales all scans alike, so that the
    # points, 10 mm from the middles, meet.
    assert {row["status"] for row in rows} == {"ok"}
    assert max(float(row["landmark_mm"]) for row in rows) < 1e-3

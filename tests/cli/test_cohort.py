"""`voltween cohort`: exit codes, workers, job arrays, interrupts."""

import csv
import json
import shutil

import pytest

from support.commands import run_here
from support.phantoms import write_manifest_of, write_phantoms
from voltween.batches import memory, work

CHEAP = ("--model", "none", "--refine", 4, "--outputs", "moved,transform")

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")


@pytest.fixture(scope="module", name="scans")
def scans_fixture(tmp_path_factory):
    """Three phantoms with a manifest."""
    shifts = {"a-1": (0, 0, 0), "a-2": (0, -6, 2), "b-1": (4, 2, 2)}
    folder = write_phantoms(tmp_path_factory.mktemp("scans"), shifts)
    write_manifest_of(folder, shifts, roles=())
    return folder


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def words(scans, out, *more):
    to = ["--fixed", "a-1", "--out", out]
    return ["cohort", scans / "cases.csv", *to, *CHEAP, *map(str, more)]


@pytest.fixture(scope="module", name="done")
def done_fixture(scans, tmp_path_factory):
    """The folder of a run in this process."""
    out = tmp_path_factory.mktemp("cohort") / "out"
    assert run_here(*words(scans, out)) == 0
    return out


def files(out):
    """The bytes of all results without their records."""
    return {
        path.relative_to(out): path.read_bytes()
        for path in (out / "cases").rglob("*")
        if path.is_file() and path.name != "registration.json"
    }


def test_two_workers_make_the_bytes_that_one_makes(
    scans, done, tmp_path, capsys, monkeypatch
):
    pytest.importorskip("distributed")
    out = tmp_path / "out"
    monkeypatch.setattr(memory, "machine_bytes", lambda: 1e9)
    assert run_here(*words(scans, out, "--workers", 2)) == 0
    assert capsys.readouterr().err.startswith("voltween: 2 workers may need 3.0 GB")
    assert files(out) == files(done)
    for name in ("a-2", "b-1"):
        one, two = (
            json.loads(
                (folder / "cases" / name / "registration.json").read_text("utf-8")
            )
            for folder in (done, out)
        )
        assert one["verdict"] == two["verdict"]
        assert one["versions"]["threads"] == two["versions"]["threads"] == "1"


def test_what_two_workers_left_one_finds(scans, done):
    before = {path: path.stat().st_mtime_ns for path in (done / "cases").rglob("*")}
    assert run_here(*words(scans, done)) == 0
    after = {path: path.stat().st_mtime_ns for path in (done / "cases").rglob("*")}
    assert after == before


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--all-pairs",), "expected one of them, got --fixed and --all-pairs"),
        (("--outputs", "everything"), "outputs: expected names of moved"),
        (("--refine", 1), "refinement: expected at least"),
        (("--refine", "none"), "--refine none: expected a model, whose answer stays"),
        (("--structures", "missing.csv"), "missing.csv: expected"),
        (("--part", "3/2"), "--part: expected a number from 1 to 2"),
        (("--print-sbatch",), "--print-sbatch: expected --slurm"),
        (("--print-sbatch", "--slurm", "mem=1G", "--jobs", 0), "--jobs: expected at"),
        (("--bids",), "--bids: expected a BIDS data set"),
    ],
)
def test_wrong_options_end_in_one_line(more, message, scans, tmp_path, capsys):
    assert run_here(*words(scans, tmp_path / "out", *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_an_array_script_has_the_command_without_its_own_options(
    scans, tmp_path, capsys
):
    slurm = ("--print-sbatch", "--slurm", "time=1:00:00,mem=4G", "--jobs", 7)
    assert run_here(*words(scans, tmp_path / "out", *slurm)) == 0
    script = capsys.readouterr().out
    assert "#SBATCH --array=1-7" in script
    assert "#SBATCH --mem=4G" in script
    last = script.strip().splitlines()[-1]
    given = " ".join(map(str, words(scans, tmp_path / "out")[1:]))
    assert last.endswith(f"-m voltween cohort --part /7 {given}")
    assert not (tmp_path / "out").exists()


def test_json_with_an_array_script_is_json_alone(scans, tmp_path, capsys):
    slurm = ("--print-sbatch", "--slurm", "mem=4G", "--json")
    assert run_here(*words(scans, tmp_path / "out", *slurm)) == 0
    script = json.loads(capsys.readouterr().out)["result"]["script"]
    assert script.startswith("#!/bin/sh\n#SBATCH")
    assert "-m voltween cohort --part /1 " in script


def test_an_interrupt_says_how_to_go_on(scans, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "register_files", interrupt)
    assert run_here(*words(scans, tmp_path / "out")) == 130
    assert "repeat the command to continue" in capsys.readouterr().err
    assert not list(tmp_path.rglob(".voltween-*"))
    monkeypatch.undo()
    assert run_here(*words(scans, tmp_path / "out")) == 0


def test_an_interrupt_leaves_tables_of_what_is_done(
    scans, tmp_path, capsys, monkeypatch
):
    def interrupt_second(*args, **options):
        if (out / "records").exists():
            raise KeyboardInterrupt
        return register_files(*args, **options)

    out, register_files = tmp_path / "out", work.register_files
    monkeypatch.setattr(work, "register_files", interrupt_second)
    assert run_here(*words(scans, out)) == 130
    states = {row["name"]: row["state"] for row in read_rows(out / "pairs.csv")}
    assert states == {"a-2": "done", "b-1": "missing"}
    assert "1 of 2 pairs are registered" in (out / "summary.md").read_text("utf-8")
    assert "not registered yet" in (out / "index.html").read_text("utf-8")
    states = {row["name"]: row["state"] for row in read_rows(out / "status.csv")}
    assert states == {"a-2": "done", "b-1": "waiting"}


def test_strict_ends_with_the_code_of_a_failed_verdict(scans, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    assert run_here(*words(scans, out, "--strict")) == 0
    record = json.loads((out / "records" / "a-2.json").read_text("utf-8"))
    record["scores"] |= {"verdict": "failed", "reasons": "of nothing in common"}
    (out / "records" / "a-2.json").write_text(json.dumps(record))
    assert run_here(*words(scans, out)) == 0
    worst = read_rows(out / "pairs.csv")[0]
    assert (worst["name"], worst["verdict"]) == ("a-2", "failed")
    assert "- a-2: of nothing in common" in (out / "summary.md").read_text("utf-8")
    assert run_here(*words(scans, out, "--strict")) == 3

"""A cohort in the jobs of a Slurm on this machine, and in a job array."""

import subprocess

import pytest

from support.phantom_cohort import (
    NAMES,
    records,
    results,
    run_alone,
    times,
    words,
    write_cases,
)
from support.processes import environment, finish, run, start, wait_until
from support.slurm import output, running_jobs, slurm, wait_for  # noqa: F401

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.usefixtures("slurm"),
    pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning"),
]
JOB = "partition=tests,time=10,cpus=1,mem=1500M"
SECONDS = 240


@pytest.fixture(scope="module", name="scans")
def scans_fixture(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module", name="alone")
def alone_fixture(scans, tmp_path_factory):
    """The folder of one process."""
    return run_alone(scans, tmp_path_factory.mktemp("alone") / "out")


def test_a_cohort_survives_that_one_of_its_jobs_is_cancelled(scans, alone, tmp_path):
    out = tmp_path / "out"
    command = words(scans, out, "--slurm", JOB, "--jobs", 2)
    process = start(*command)
    assert wait_until(lambda: records(out), process)
    jobs, left = running_jobs(), set(NAMES) - {*records(out)}
    assert left
    subprocess.run(["scancel", jobs[0]], check=True)
    code, _, errors = finish(process)
    assert (code, errors) == (0, "")
    assert results(out) == results(alone)
    before = times(out)
    assert run(*command)[0] == 0
    assert times(out) == before
    wait_for(lambda: not output("squeue", "--noheader"), SECONDS)


def test_a_job_array_does_a_cohort_in_shares(scans, alone, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    out = tmp_path / "out"
    resources = ("--slurm", JOB, "--jobs", 3)
    code, script, errors = run(*words(scans, out, *resources, "--print-sbatch"))
    assert (code, errors) == (0, "")
    subprocess.run(
        ["sbatch", "--output", str(tmp_path / "%a.log")],
        input=script,
        check=True,
        text=True,
        capture_output=True,
    )
    wait_for(lambda: not output("squeue", "--noheader"), SECONDS)
    assert records(out) == NAMES
    assert {path.name for path in (out / "parts").iterdir()} == {
        f"{number}-of-3" for number in (1, 2, 3)
    }
    assert results(out) == results(alone)
    assert "missing" not in (out / "pairs.csv").read_text("utf-8")

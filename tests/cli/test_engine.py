"""Options of engines: their threads, their errors, and the lines of a run."""

import math
import subprocess
import sys

import pytest

from support.cohorts import write_cohort
from support.commands import run_here
from support.processes import environment
from voltween.cli.engine import EngineOptions, showing
from voltween.errors import InputError
from voltween.process import running
from voltween.workers import Outcome, Status


def test_a_worker_has_one_thread_unless_told_or_the_cpus_of_its_job(tmp_path):
    assert EngineOptions().engine(tmp_path).threads == 1
    assert EngineOptions(threads=3).engine(tmp_path).threads == 3
    job = EngineOptions(slurm="mem=1G,cpus=4").engine(tmp_path)
    assert job.threads == 4
    assert job.logs == tmp_path / "slurm-logs"
    assert EngineOptions(worker_memory_gb=1.5).engine(tmp_path).memory == 1_500_000_000


def test_the_usual_memory_is_that_of_several_workers_or_of_a_job(tmp_path):
    estimate = 3 << 30
    several = EngineOptions(workers=2)
    assert several.engine(tmp_path, memory=estimate).memory == estimate
    told = EngineOptions(workers=2, worker_memory_gb=1.0)
    assert told.engine(tmp_path, memory=estimate).memory == 1_000_000_000
    job = EngineOptions(slurm="cpus=2").engine(tmp_path, memory=estimate).slurm
    assert job.memory == "3072M"
    alone = EngineOptions().engine(tmp_path, memory=estimate)
    assert alone.is_this_process


def test_one_worker_with_a_limit_is_a_process_of_its_own(tmp_path):
    engine = EngineOptions(worker_memory_gb=1.0).engine(tmp_path)
    assert not engine.is_this_process
    assert engine.is_this_machine


@pytest.mark.parametrize(
    "place", [{"slurm": "mem=1G"}, {"scheduler": "tcp://127.0.0.1:1"}]
)
def test_only_local_workers_have_the_limit(place, tmp_path):
    with pytest.raises(InputError, match="--worker-memory-gb: expected local workers"):
        EngineOptions(worker_memory_gb=1.0, **place).engine(tmp_path)


@pytest.mark.parametrize("size", [0.0, -1.0, math.nan, math.inf])
def test_a_worker_has_some_memory(size, tmp_path):
    with pytest.raises(InputError, match="--worker-memory-gb: expected at"):
        EngineOptions(worker_memory_gb=size).engine(tmp_path)


def test_without_dask_the_extra_is_named(tmp_path, capsys, monkeypatch):
    installed = running.version
    absent = ("dask", "distributed", "dask-jobqueue")
    monkeypatch.setattr(
        running,
        "version",
        lambda package: None if package in absent else installed(package),
    )
    manifest = write_cohort(tmp_path, 0, 2)
    command = ["compare", manifest, "--methods", "centres", "--out", tmp_path / "out"]
    assert run_here(*command, "--workers", 2) == 2
    assert "pip install 'voltween[cluster]'" in capsys.readouterr().err
    assert run_here(*command, "--max-pairs", 1) == 0


def test_commands_are_imported_without_dask():
    code = (
        "import sys; sys.modules |= dict.fromkeys(['dask', 'distributed', "
        "'dask_jobqueue'])\n"
        "from voltween.cli import main, compare, align, prepare, train"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, check=True, env=environment())


def test_a_failed_pair_makes_the_exit_code_1_and_is_listed(tmp_path, capsys):
    manifest = write_cohort(tmp_path, 0, 3)
    (tmp_path / "image2.nii.gz").write_bytes(b"no scan")
    command = ["compare", manifest, "--methods", "centres", "--out", tmp_path / "out"]
    assert run_here(*command) == 1
    errors = capsys.readouterr().err.splitlines()
    listed = [line for line in errors if line.startswith("voltween: centres, case")]
    assert len(listed) == 4
    assert "image2.nii.gz: expected" in listed[0]
    table = (tmp_path / "out" / "status.csv").read_text("utf-8").splitlines()
    assert table[0] == "name,state,seconds,note"
    assert sum(",failed," in line for line in table) == 4
    assert sum(",done," in line for line in table) == 2


def test_an_interrupt_says_what_is_done_and_how_to_go_on(capsys):
    status = Status("ab")
    status.start("a")
    status.end(Outcome("a"))
    with pytest.raises(KeyboardInterrupt), showing(status):
        raise KeyboardInterrupt
    line = capsys.readouterr().err
    assert line.startswith("voltween: 1 done, 0 failed, 0 running, 1 waiting")
    assert line.endswith("is finished is kept: repeat the command to continue\n")

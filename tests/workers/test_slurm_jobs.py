"""The resources of a Slurm job, and the script of a job array."""

import shlex
import sys

import pytest

from voltween.errors import InputError
from voltween.workers import Engine, SlurmJob, array_script

TEXT = "partition=gpu,time=4:00:00, cpus=4,mem=16G,gres=gpu:1"


def test_resources_are_options_of_sbatch():
    job = SlurmJob.read(TEXT)
    assert (job.cpus, job.memory) == (4, "16G")
    assert job.directives == [
        *("--partition=gpu", "--time=4:00:00", "--gres=gpu:1"),
        *("--cpus-per-task=4", "--mem=16G"),
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("gpu", "got 'gpu'"),
        ("partition=,mem=1G", "got 'partition=,mem=1G'"),
        ("partition=a", "got no mem in 'partition=a'"),
        ("mem=1G,cpus=0", "got cpus=0"),
        ("mem=1G,cpus=all", "got cpus=all"),
        ("mem=1G,a b=c", "got 'mem=1G,a b=c'"),
        ("", "got ''"),
    ],
)
def test_other_texts_are_refused(text, got):
    with pytest.raises(InputError, match=got):
        SlurmJob.read(text)


def test_the_memory_may_be_an_estimate():
    assert SlurmJob.read("cpus=2", 3_000_000_000).memory == "2862M"
    assert SlurmJob.read("mem=1G", 3_000_000_000).memory == "1G"


def test_a_script_runs_a_share_per_task_of_the_array():
    words = ["cohort", "--out", "out", "--", "cases of all.csv"]
    lines = array_script(words, SlurmJob.read(TEXT), 40).splitlines()
    assert lines[0] == "#!/bin/sh"
    assert {"#SBATCH --array=1-40", "#SBATCH --mem=16G"} < set(lines)
    command = shlex.split(lines[-1])
    program = ["exec", sys.executable, "-m", "voltween"]
    assert command == [*program, "cohort", "--part", "/40", *words[1:]]


def test_two_places_for_the_work_are_refused():
    job = SlurmJob.read(TEXT)
    with pytest.raises(InputError, match="--workers and --slurm: expected one of them"):
        Engine(workers=2, slurm=job)
    with pytest.raises(InputError, match="--jobs: expected --slurm"):
        Engine(jobs=2)
    with pytest.raises(InputError, match="--workers: expected at least 1, got 0"):
        Engine(workers=0)

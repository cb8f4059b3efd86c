"""Workers in the jobs of a Slurm on this machine, and shares in a job array."""

import subprocess
import threading

import pytest

from support.processes import TESTS, environment
from support.slurm import output, running_jobs, slurm, wait_for  # noqa: F401
from support.toys import note_slowly
from voltween.errors import InputError
from voltween.workers import Engine, SlurmJob, Task, array_script, run_tasks

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.usefixtures("slurm"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
NAMES = [f"task{number}" for number in range(6)]
JOB = "partition=tests,time=10,cpus=1,mem=500M"


@pytest.fixture(autouse=True)
def paths(monkeypatch):
    """Jobs find this source and the tests, as `sbatch` hands the environment on."""
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])


def test_a_job_that_is_cancelled_is_replaced_and_every_task_done(tmp_path):
    engine = Engine(slurm=SlurmJob.read(JOB), jobs=2, logs=tmp_path)
    tasks = [Task(name, (tmp_path, name, 3)) for name in NAMES]
    cancel = threading.Thread(target=cancel_one_job, args=(tmp_path,))
    cancel.start()
    outcomes = []
    run_tasks(note_slowly, tasks, engine, outcomes.append)
    cancel.join()
    assert {o.name: o.error for o in outcomes} == dict.fromkeys(NAMES)
    assert all(
        len((tmp_path / name).read_text("utf-8").splitlines()) == 1 for name in NAMES
    )
    begun = [
        (tmp_path / f"{name}.begun").read_text("utf-8").splitlines() for name in NAMES
    ]
    assert sum(map(len, begun)) > len(NAMES)  # that of the cancelled job, twice
    wait_for(lambda: not output("squeue", "--noheader"))


def cancel_one_job(folder):
    wait_for(lambda: len(list(folder.glob("*.begun"))) >= 2)
    subprocess.run(["scancel", running_jobs()[0]], check=True)


def test_jobs_that_slurm_refuses_are_an_error(tmp_path):
    engine = Engine(slurm=SlurmJob.read("partition=none,mem=500M"))
    with pytest.raises(InputError, match="invalid partition"):
        run_tasks(note_slowly, [Task("a", (tmp_path, "a", 0))], engine, print)


def test_the_tasks_of_a_job_array_do_a_share_each(tmp_path):
    script = array_script(["cohort"], SlurmJob.read(JOB), parts=3)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from support.toys import note; from voltween.workers import *\n"
        f"tasks = [Task(name, ({str(tmp_path)!r}, name)) for name in {NAMES}]\n"
        "part = Part.read(sys.argv[-1])\n"
        "run_tasks(note, tasks, Engine(part=part), lambda outcome: None)\n"
    )
    program = tmp_path / "program.py"
    program.write_text(code)
    script = script.replace("-m voltween cohort", f"{program} {TESTS}")
    subprocess.run(
        ["sbatch", "--output", str(tmp_path / "%a.log")],
        input=script,
        check=True,
        text=True,
        capture_output=True,
    )
    wait_for(lambda: all((tmp_path / name).exists() for name in NAMES))
    assert all(
        len((tmp_path / name).read_text("utf-8").splitlines()) == 1 for name in NAMES
    )

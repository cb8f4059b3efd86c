"""A Dask scheduler that others have started, and its loss."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from support.processes import environment
from support.slurm import wait_for
from support.toys import note_slowly
from voltween.errors import InputError
from voltween.workers import Engine, Task, run_tasks

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@contextmanager
def running(*words):
    """Run one of Dask's programs until the end of the block."""
    command = [sys.executable, "-m", *map(str, words)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment(), **quiet) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_tasks_run_on_a_running_cluster_until_its_scheduler_is_lost(tmp_path):
    file = tmp_path / "scheduler.json"
    engine, outcomes = Engine(scheduler=str(file)), []
    options = ["--scheduler-file", file, "--no-dashboard"]
    with running("distributed.cli.dask_scheduler", *options, "--port", 0) as scheduler:
        wait_for(file.exists)
        worker = ["--nworkers", 1, "--nthreads", 1, *options]
        with running("distributed.cli.dask_worker", *worker):
            run_tasks(
                note_slowly, [Task("a", (tmp_path, "a", 0))], engine, outcomes.append
            )
            assert [(o.name, o.error) for o in outcomes] == [("a", None)]

            def lose(name):
                scheduler.kill()

            tasks = [Task(name, (tmp_path, name, 1)) for name in "bc"]
            with pytest.raises(InputError, match="repeat the command to continue"):
                run_tasks(note_slowly, tasks, engine, print, on_start=lose)


def test_a_scheduler_that_does_not_answer_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("voltween.workers.clusters._CONNECT_SECONDS", 1)
    engine = Engine(scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="--scheduler: expected the address"):
        run_tasks(note_slowly, [Task("a", (tmp_path, "a", 0))], engine, print)

"""Two worker processes, and the signals that end one of them or the driver."""

import os
import signal
import time

import psutil

from support.processes import finish, start, wait_until

NAMES = [f"task{number}" for number in range(4)]


def start_run(folder, seconds):
    """Start a run of slow tasks with two workers."""
    words = [str(folder), "2", str(seconds), *NAMES]
    return start(code=f"from support.toy_run import main; main({words})")


def workers_at_work(folder):
    """Process ids of the workers that have begun a task, the last of each."""
    begun = [file.read_text("utf-8").splitlines() for file in folder.glob("*.begun")]
    return [int(rows[-1].split()[0]) for rows in begun if rows]


def lines(folder, ending=""):
    """Number of lines of the files of all tasks."""
    files = [folder / f"{name}{ending}" for name in NAMES]
    return [len(f.read_text("utf-8").splitlines()) if f.exists() else 0 for f in files]


def is_gone(process_id):
    """Whether a process has ended within some seconds."""
    for _ in range(100):
        if not psutil.pid_exists(process_id):
            return True
        time.sleep(0.1)
    return False


def test_the_task_of_a_killed_worker_is_done_by_another(tmp_path):
    process = start_run(tmp_path, 2)
    assert wait_until(lambda: len(workers_at_work(tmp_path)) == 2, process)
    os.kill(workers_at_work(tmp_path)[0], signal.SIGKILL)
    code, output, errors = finish(process)
    assert (code, errors) == (0, "")
    assert sorted(output.split("\n")[:-1]) == [f"{name} None" for name in NAMES]
    assert lines(tmp_path) == [1, 1, 1, 1]
    assert sum(lines(tmp_path, ".begun")) == 5


def test_an_interrupt_ends_the_workers_at_once(tmp_path):
    process = start_run(tmp_path, 60)
    assert wait_until(lambda: len(workers_at_work(tmp_path)) == 2, process)
    workers = workers_at_work(tmp_path)
    begin = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of the group
    code, output, errors = finish(process)
    assert (code, output, errors) == (130, "", "voltween: interrupted\n")
    assert time.monotonic() - begin < 20
    assert all(map(is_gone, workers))


def test_a_run_whose_driver_was_killed_is_continued(tmp_path):
    process = start_run(tmp_path, 1)
    assert wait_until(lambda: sum(lines(tmp_path)) >= 1, process)
    process.kill()
    process.communicate()
    assert all(map(is_gone, workers_at_work(tmp_path)))
    done = sum(lines(tmp_path))
    code, output, errors = finish(start_run(tmp_path, 0))
    assert (code, errors) == (0, "")
    assert len(output.splitlines()) == len(NAMES) - done
    assert lines(tmp_path) == [1, 1, 1, 1]

"""A cohort with two workers, of which one is killed, or the driver, or all."""

import os
import signal

import psutil
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
from support.processes import finish, start, wait_until

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning"),
    pytest.mark.filterwarnings("ignore::voltween.errors.TakeoverWarning"),
]


@pytest.fixture(scope="module", name="scans")
def scans_fixture(tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module", name="alone")
def alone_fixture(scans, tmp_path_factory):
    """The folder of one process."""
    return run_alone(scans, tmp_path_factory.mktemp("alone") / "out")


def start_two(scans, out):
    """Starts the command with two workers; returns when one pair is done."""
    process = start(*words(scans, out, "--workers", 2))
    assert wait_until(lambda: records(out), process)
    assert records(out) != NAMES
    return process


def workers_of(process):
    """The worker processes of a driver."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def test_the_pair_of_a_killed_worker_is_done_by_another(scans, alone, tmp_path):
    process = start_two(scans, tmp_path / "out")
    workers = workers_of(process)
    assert len(workers) == 2
    workers[0].kill()
    code, _, errors = finish(process)
    assert (code, errors) == (0, "")
    assert results(tmp_path / "out") == results(alone)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_cohort_goes_on_after_its_driver_was_ended(number, scans, alone, tmp_path):
    out = tmp_path / "out"
    process = start_two(scans, out)
    workers = workers_of(process)
    if number == signal.SIGINT:  # as a terminal does: all of the group
        os.killpg(process.pid, number)
        code, _, errors = finish(process)
        assert code == 130
        assert "repeat the command to continue" in errors
    else:
        process.kill()
        process.communicate()
    assert not psutil.wait_procs(workers, timeout=30)[1]
    before = {path: at for path, at in times(out).items() if path.parent.name in NAMES}
    done = [path for path in before if path.parent.name in records(out)]
    run_alone(scans, out)
    assert results(out) == results(alone)
    assert records(out) == NAMES
    after = times(out)
    assert all(after[path] == before[path] for path in done)

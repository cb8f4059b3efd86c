"""Engines: this process and two worker processes."""

import os

import pytest

from support.toys import behave, note
from voltween.errors import InputError, OutputError
from voltween.workers import Engine, Part, Task, run_tasks

# Dask leaves sockets of ended workers to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ENGINES = {"here": Engine(), "two": Engine(workers=2)}


@pytest.fixture(params=ENGINES)
def engine(request):
    return ENGINES[request.param]


def run(function, folder, names, engine):
    """Runs a task per name; the outcomes by name."""
    outcomes = []
    tasks = [Task(name, (folder, name)) for name in names]
    run_tasks(function, tasks, engine, outcomes.append)
    assert sorted(outcome.name for outcome in outcomes) == sorted(names)
    return {outcome.name: outcome for outcome in outcomes}


def test_every_task_runs_once(tmp_path, engine):
    names = [f"task{number}" for number in range(5)]
    outcomes = run(note, tmp_path, names, engine)
    assert all(o.error is None and o.seconds >= 0 for o in outcomes.values())
    assert all(len((tmp_path / n).read_text("utf-8").splitlines()) == 1 for n in names)


def test_what_several_tasks_warn_of_is_told_once_with_the_name_of_one(tmp_path, engine):
    with pytest.warns(UserWarning, match="doubtful") as caught:
        run(behave, tmp_path, ["warning1", "warning2", "good"], engine)
    (text,) = {str(w.message) for w in caught if "doubtful" in str(w.message)}
    assert text in {"warning1: doubtful", "warning2: doubtful"}


def test_a_failure_is_one_line_and_the_others_go_on(tmp_path, engine):
    with pytest.warns(UserWarning, match="^warning: doubtful"):
        outcomes = run(behave, tmp_path, ["bad", "odd", "warning", "good"], engine)
    assert outcomes["bad"].error == "bad: expected a good one, got a bad one"
    assert outcomes["odd"].error == "KeyError: 'two\\nlines'"
    assert outcomes["good"].error is outcomes["warning"].error is None


def test_a_result_that_cannot_be_written_ends_the_run(tmp_path, engine):
    with pytest.raises(OutputError, match="expected space"):
        run(behave, tmp_path, ["full", *"abcdefgh"], engine)
    assert not (tmp_path / "h").exists()


def test_a_task_whose_worker_dies_twice_fails_and_the_others_go_on(tmp_path):
    names = ["one", "deadly", "two", "three"]
    outcomes = run(behave, tmp_path, names, ENGINES["two"])
    assert "died twice" in outcomes["deadly"].error
    assert len((tmp_path / "deadly").read_text("utf-8").splitlines()) == 2
    assert all(outcomes[name].error is None for name in ("one", "two", "three"))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_task_that_needs_more_memory_than_a_worker_has_fails_alone(workers, tmp_path):
    engine = Engine(workers=workers, memory=700_000_000)
    outcomes = run(behave, tmp_path, ["one", "greedy", "two"], engine)
    assert "died twice: it may need more memory" in outcomes["greedy"].error
    assert len((tmp_path / "greedy").read_text("utf-8").splitlines()) == 2
    assert outcomes["one"].error is outcomes["two"].error is None
    assert len((tmp_path / "one").read_text("utf-8").splitlines()) == 1
    pids = {(tmp_path / n).read_text("utf-8").split()[0] for n in ("one", "two")}
    assert str(os.getpid()) not in pids


def test_parts_share_the_tasks(tmp_path):
    names = list("abcdefg")
    tasks = [Task(name, (tmp_path, name)) for name in names]
    for number in (1, 2, 3):
        run_tasks(note, tasks, Engine(part=Part(number, 3)), lambda outcome: None)
    assert all(len((tmp_path / n).read_text("utf-8").splitlines()) == 1 for n in names)


def test_two_tasks_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="expected different names, got a twice"):
        run(note, tmp_path, ["a", "b", "a"], ENGINES["here"])

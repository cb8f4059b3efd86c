"""The status of a run: counts, rate, time left and the table."""

import csv

import pytest

from voltween.workers import Engine, Outcome, Runner, Status, Task


class Clock:
    """A clock that is set by hand."""

    seconds = 100.0

    def __call__(self):
        return self.seconds


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(row.values()) for row in csv.DictReader(file)]


def test_counts_rate_and_time_left_are_those_of_the_tasks_so_far():
    clock = Clock()
    status = Status("abcdef", clock=clock)
    status.keep("f")
    clock.seconds = 500.0  # what is before the first task does not count
    status.start("a")
    assert status.seconds_left is None
    assert status.per_minute == 0
    clock.seconds += 20
    status.end(Outcome("a", seconds=20.0))
    status.start("b")
    clock.seconds += 10
    status.end(Outcome("b", "expected a scan, got none"))
    status.start("c")
    assert status.per_minute == 4
    assert status.seconds_left == pytest.approx(45)
    assert status.line() == (
        "1 kept, 1 done, 1 failed, 1 running, 2 waiting, 4.0 per minute, 45 s left"
    )
    assert status.failures == {"b": "expected a scan, got none"}
    assert (status.tasks, status.ended) == (6, 3)


def test_long_times_are_told_in_hours():
    clock = Clock()
    status = Status(map(str, range(100)), clock=clock)
    status.start("0")
    clock.seconds += 100
    status.end(Outcome("0"))
    assert status.line().endswith("2 h 45 min left")


def test_the_table_is_written_at_once_then_at_most_every_second(tmp_path):
    clock, path = Clock(), tmp_path / "out" / "status.csv"
    status = Status(file=path, clock=clock)
    assert not path.exists()
    status.add(["a", 'b,"'])
    assert rows(path) == [("a", "waiting", "", ""), ('b,"', "waiting", "", "")]
    status.start("a")
    assert rows(path)[0][1] == "waiting"
    clock.seconds += 2
    status.end(Outcome("a", None, 1.25), "Dice 0.9")
    assert rows(path)[0] == ("a", "done", "1.250", "Dice 0.9")
    status.end(Outcome('b,"', "no scan"))
    status.close()
    assert rows(path)[1] == ('b,"', "failed", "0.000", "no scan")
    assert [file.name for file in path.parent.iterdir()] == ["status.csv"]


def test_a_runner_notes_every_task(tmp_path):
    changes = []
    status = Status(on_change=lambda status: changes.append(status.line()))
    tasks = [Task("good", ("1",)), Task("bad", ("one",))]
    Runner(Engine(), status).run(int, tasks, lambda outcome: outcome.name)
    assert len(changes) == 4
    assert status.failures == {
        "bad": "ValueError: invalid literal for int() with base 10: 'one'"
    }
    assert changes[1].startswith("1 done, 0 failed, 0 running, 1 waiting")


def test_what_has_not_ended_waits_again_when_the_run_ends(tmp_path):
    path = tmp_path / "status.csv"
    status = Status("ab", file=path)
    status.start("a")
    status.close()
    assert [row[1] for row in rows(path)] == ["waiting", "waiting"]

"""An interrupt ends a command with one line, also before anything is imported."""

import os
import signal
import tomllib
from pathlib import Path

import pytest

import voltween
from support.processes import finish, start

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
SOURCES = Path(voltween.__file__).parents[1]
# An editable installation has a finder of its own, which imports more.
FIRST = f"""
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]
sys.path.insert(0, {str(SOURCES)!r})
before = set(sys.modules)
import voltween.__main__
print(*sorted(set(sys.modules) - before))
"""
STARTING = """
import time
from voltween.starting import heed_interrupts
heed_interrupts()
print("ready", flush=True)
time.sleep(10)
"""


def test_nothing_is_imported_before_interrupts_are_heeded():
    _, output, _ = finish(start(code=FIRST))
    assert output.split() == ["voltween", "voltween.__main__", "voltween.starting"]


def test_the_command_starts_there():
    scripts = tomllib.loads(PROJECT.read_text("utf-8"))["project"]["scripts"]
    assert scripts == {
        "voltween": "voltween.__main__:main",
        "voltween-bids": "voltween.__main__:bids",
    }


def test_an_interrupt_is_one_line():
    process = start(code=STARTING)
    assert process.stdout.readline() == b"ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process) == (130, "", "voltween: interrupted\n")


def test_an_interrupt_that_is_switched_off_stays_so():
    ignoring = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN){STARTING}"
    process = start(code=ignoring.replace("10", "0.2"))
    assert process.stdout.readline() == b"ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process)[0] == 0


def test_names_of_the_package_are_found_when_they_are_used():
    assert {"read", "register"} <= set(dir(voltween)) == set(voltween.__all__)
    assert voltween.read.__module__ == "voltween.io.reading"
    with pytest.raises(AttributeError):
        _ = voltween.unknown


COLLECTING = """
import gc
from voltween.starting import pause_collector, resume_collector
if {paused}:
    pause_collector()
print(gc.isenabled(), gc.get_freeze_count() > 0)
resume_collector()
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_cycles_are_searched_again_after_the_imports():
    output = finish(start(code=COLLECTING.format(paused=True)))[1]
    assert output.splitlines() == ["False False", "True True"]


def test_a_search_that_was_not_paused_is_left_alone():
    """A program that calls the command line keeps its settings."""
    output = finish(start(code=COLLECTING.format(paused=False)))[1]
    assert output.splitlines() == ["True False", "True False"]


ENDING = """
import atexit, sys, threading, time
from voltween.starting import finish, plan_quick_end

class Tidied:
    def __del__(self):
        print("taken apart")

plan_quick_end()
atexit.register(print, "called")
threading.Thread(target=lambda: (time.sleep(0.1), print("waited for"))).start()
sys.modules["kept"] = Tidied()
if {finished}:
    finish()
print("written", end=" ")
{last}
"""


def test_a_finished_process_is_not_taken_apart_but_all_is_written_and_called():
    ending = ENDING.format(finished=True, last="")
    assert finish(start(code=ending)) == (0, "written waited for\ncalled\n", "")


def test_a_process_that_has_not_finished_ends_as_usual():
    ending = ENDING.format(finished=False, last="raise SystemExit(3)")
    code, output, _ = finish(start(code=ending))
    assert (code, output.splitlines()[-1]) == (3, "taken apart")


def test_streams_that_are_closed_do_not_hide_the_end():
    ending = ENDING.format(finished=True, last="sys.stdout.flush(); sys.stdout.close()")
    assert finish(start(code=ending))[0] == 0


POLICY = """
import os, sys
from voltween.__main__ import main
sys.argv[1:] = ["--version"]
main()
print(os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(
    ("given", "expected"), [(None, "passive"), ("active", "active")]
)
def test_threads_sleep_while_they_wait_unless_told_otherwise(
    given, expected, monkeypatch
):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    _, output, _ = finish(start(code=POLICY))
    assert output.split()[-1] == expected

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
    assert scripts == {"voltween": "voltween.__main__:main"}


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

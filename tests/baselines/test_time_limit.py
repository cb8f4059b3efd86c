"""The time limit of a tool: the tool and its own children end, and the pair fails."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from support.cohorts import blob, write_cohort
from voltween.baselines import TOOLS, child, tools
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import evaluate
from voltween.evaluation.methods import tool_method
from voltween.process import running

SLEEPING = """
import os, pathlib, subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
numbers = f"{{os.getpid()}} {{grandchild.pid}}"
pathlib.Path({noted!r}).write_text(numbers)
grandchild.wait()
"""
SOON_MINUTES = 2 / 60
MESSAGE = (
    r"^ANTs: expected a registration within 0\.0333333 minutes, got none, and it was "
    r"stopped: raise the limit \(--time-limit-minutes\)"
)


@pytest.fixture(name="noted")
def noted_fixture(tmp_path, monkeypatch):
    """A tool that never ends is the child; the file gets its number and its child's."""
    noted = tmp_path / "noted"
    script = tmp_path / "sleeping.py"
    script.write_text(SLEEPING.format(noted=str(noted)))
    monkeypatch.setattr(tools, "_CHILD", script)
    monkeypatch.setattr(running, "version", lambda package: "1")
    return noted


def is_running(number):
    """Whether a process exists and is no zombie."""
    words = ["ps", "-o", "stat=", "-p", str(number)]
    state = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def has_ended(number):
    """Waits for a process to end, a few seconds at most."""
    for _ in range(100):
        if not is_running(number):
            return True
        time.sleep(0.05)
    return False


def test_a_tool_and_its_children_end_at_the_time_limit(noted):
    (fixed, _), (moving, _) = blob(0), blob(1)
    start = time.monotonic()
    with pytest.raises(InputError, match=MESSAGE):
        TOOLS["ants"].run(fixed, moving, time_limit_minutes=SOON_MINUTES)
    assert time.monotonic() - start < 20
    numbers = noted.read_text("utf-8").split()
    assert len(numbers) == 2
    assert all(map(has_ended, numbers))


def test_an_interruption_ends_the_tool(noted, monkeypatch):
    (fixed, _), (moving, _) = blob(0), blob(1)

    def interrupted(self, timeout):
        while not noted.exists() or not noted.read_text("utf-8"):
            time.sleep(0.05)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            TOOLS["ants"](fixed, moving)
    assert all(map(has_ended, noted.read_text("utf-8").split()))


def test_the_pair_is_a_failed_one_and_the_others_go_on(noted, tmp_path):
    cases = read_manifest(write_cohort(tmp_path, 1, 1))
    names = [case.name for case in cases]
    tool = replace(TOOLS["ants"])
    method = tool_method("ants", tool, time_limit_minutes=SOON_MINUTES)
    pairs = [tuple(names), tuple(names[::-1])]
    scores = evaluate([method], cases, pairs=pairs, out=tmp_path / "out").pairs
    assert [score.status for score in scores] == ["failed", "failed"]
    assert all("expected a registration within" in score.note for score in scores)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such call")
def test_a_tool_ends_when_the_calling_process_is_killed(tmp_path):
    package = tmp_path / "picsl_greedy.py"
    noted = tmp_path / "noted"
    package.write_text(
        f"import os, time; open({str(noted)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(60)"
    )
    (tmp_path / "task.json").write_text('{"tool": "greedy", "commands": []}')
    command = [sys.executable, "-P", child.__file__, str(tmp_path)]
    caller = f"import subprocess; subprocess.run({command!r}, start_new_session=True)"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    calling = subprocess.Popen([sys.executable, "-c", caller], env=environment)
    while not noted.exists() or not noted.read_text("utf-8"):
        time.sleep(0.05)
    assert is_running(noted.read_text("utf-8"))
    calling.send_signal(signal.SIGKILL)
    calling.wait()
    assert has_ended(noted.read_text("utf-8"))

"""Commands killed at random moments and run again: nothing is lost or mixed.

Only what is killed has a process of its own; the rest runs in the process of the tests.
`make kills` kills 40 times, the tests otherwise four times, each command once.
"""

import os
import random
import signal
import time

import pytest

from support.commands import run_here
from support.kills import KILLABLE, prepare_inputs
from support.processes import finish, start
from voltween.workspaces import PREFIX

KILLS = int(os.environ.get("VOLTWEEN_KILLS", "4"))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
BOOT_SHARE = 0.15  # until then it is Python that starts, not yet the command
# What a process of any of the commands imports; more would put kills after its end.
IMPORTING = "import torch._dynamo, voltween.registration"

pytestmark = [
    pytest.mark.kills,
    pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning"),
    pytest.mark.filterwarnings("ignore::voltween.errors.TakeoverWarning"),
]


@pytest.fixture(scope="module", name="importing_seconds")
def importing_seconds_fixture():
    """Seconds that a process spends on imports."""
    began = time.monotonic()
    assert finish(start(code=IMPORTING))[0] == 0
    return time.monotonic() - began


@pytest.fixture(scope="module", name="undisturbed")
def undisturbed_fixture(tmp_path_factory, importing_seconds):
    """Runs a command to its end, once; its folder and the seconds of a process."""
    inputs = prepare_inputs(tmp_path_factory.mktemp("inputs"))
    ended = {}

    def run_once(kind):
        if kind not in ended:
            command, out = kind(inputs), inputs / kind.__name__
            command.begin(out)
            began = time.monotonic()
            assert run_here(*command.words(out)) == 0
            seconds = importing_seconds + time.monotonic() - began
            ended[kind] = command, out, seconds
        return ended[kind]

    return run_once


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_command_loses_and_mixes_nothing(
    seed, undisturbed, tmp_path, record_property
):
    kind = KILLABLE[seed % len(KILLABLE)]
    number = SIGNALS[seed % len(SIGNALS)]  # 4 and 3: every command meets each
    command, done, seconds = undisturbed(kind)
    out = tmp_path / "out"
    command.begin(out)
    process = start(*command.words(out))
    time.sleep(seconds * random.Random(seed).uniform(BOOT_SHARE, 1))
    is_killed = process.poll() is None
    if is_killed:
        os.killpg(process.pid, number)
    code, _, errors = finish(process)
    if is_killed and number in CODES:
        assert code in (CODES[number], 0, -number)
        assert "Traceback" not in errors
        assert not list(tmp_path.rglob(f"{PREFIX}*"))
    command.check_left(out, done)
    assert run_here(*command.words(out)) == 0
    command.check_done(out, done)
    assert not list(tmp_path.rglob(f"{PREFIX}*"))
    assert not list(tmp_path.rglob(".in-use.json"))
    how = number.name if is_killed else "ended before"
    record_property("kill", f"{kind.__name__.lower()} {how}")

"""Commands killed at random moments and run again: nothing is lost or mixed.

Only what is killed has a process of its own; the rest runs in the process of the tests.
`make kills` kills 40 times, the tests otherwise each command once.
"""

import os
import random
import shutil
import signal
import time

import pytest

from support.commands import run_here
from support.forks import command_server, kill_group
from support.kills import KILLABLE, prepare_inputs
from voltween.storage.workspaces import PREFIX

KILLS = int(os.environ.get("VOLTWEEN_KILLS", len(KILLABLE)))
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}

pytestmark = [
    pytest.mark.kills,
    pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning"),
    pytest.mark.filterwarnings("ignore::voltween.errors.TakeoverWarning"),
]


@pytest.fixture(scope="module", name="server")
def server_fixture(tmp_path_factory):
    with command_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="module", name="undisturbed")
def undisturbed_fixture(tmp_path_factory, server):
    """Runs a command to its end, once; its folder and the seconds it takes."""
    inputs = prepare_inputs(tmp_path_factory.mktemp("inputs"))
    ended = {}

    def run_once(kind):
        if kind not in ended:
            command, out = kind(inputs), inputs / kind.__name__
            command.begin(out)
            began = time.monotonic()
            server.start(*command.words(out))
            code, text = server.finish()
            assert code == 0, text
            ended[kind] = command, out, time.monotonic() - began
        return ended[kind]

    return run_once


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_command_loses_and_mixes_nothing(
    seed, server, undisturbed, tmp_path, record_property
):
    kind = KILLABLE[seed % len(KILLABLE)]
    number = SIGNALS[(seed + seed // 3) % 3]
    command, done, seconds = undisturbed(kind)
    out = tmp_path / "out"
    wait_seconds = seconds * random.Random(seed).uniform(0, 1)
    while not run_until(wait_seconds, number, server, command, out):
        server.finish()  # it had ended before, and is killed earlier in another run
        shutil.rmtree(out)
        wait_seconds /= 2
    code, text = server.finish()
    if number in CODES:
        assert code in (CODES[number], 0, -number)
        assert "Traceback" not in text
        assert not list(tmp_path.rglob(f"{PREFIX}*"))
    command.check_left(out, done)
    assert run_here(*command.words(out)) == 0
    command.check_done(out, done)
    assert not list(tmp_path.rglob(f"{PREFIX}*"))
    assert not list(tmp_path.rglob(".in-use.json"))
    record_property("kill", f"{kind.__name__.lower()} {number.name}")


def run_until(seconds, number, server, command, out):
    """Starts a command and sends it a signal later; false if it had ended before."""
    command.begin(out)
    group = server.start(*command.words(out))
    time.sleep(seconds)
    return kill_group(group, number)

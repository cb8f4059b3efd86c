"""Commands in processes of their own, which signals can reach."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import voltween

SOURCE = Path(voltween.__file__).parents[1]
TESTS = Path(__file__).parents[1]
SECONDS = 240
"""More than any of these commands takes on a busy machine."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def environment(**changes):
    """The environment of a command: this source, one thread."""
    path = os.pathsep.join([str(SOURCE), str(TESTS)])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | changes


@contextmanager
def no_signals_ignored():
    """Switches on, within the block, the signals that the tests' parent switched off.

    A shell does that to `pytest &` in a script, and so does `nohup`; processes that are
    started within the block would inherit it. The tests themselves go on as before when
    such a signal comes.
    """
    former = {number: signal.getsignal(number) for number in ENDING}
    ignored = [n for n, handler in former.items() if handler is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)  # a started process gets the default
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def start(*words, code=None, **changes):
    """Start `voltween WORDS`, or Python code, as the leader of a group of processes.

    Its signals have their default handlers.
    """
    command = ["-c", code] if code else ["-m", "voltween", *map(str, words)]
    with no_signals_ignored():
        return subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**changes),
            start_new_session=True,
        )


def finish(process, seconds=SECONDS):
    """Wait for a process; its exit code, output and errors."""
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output.decode(), errors.decode()


def run(*words, **changes):
    """Run a command to its end; its exit code, output and errors."""
    return finish(start(*words, **changes))


def wait_until(condition, process):
    """Wait until something holds while a process runs; false if it ended before."""
    while not condition():
        if process.poll() is not None:
            return condition()
        time.sleep(0.002)
    return True

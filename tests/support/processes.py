"""Commands in processes of their own, which signals can reach."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import voltween

SOURCE = Path(voltween.__file__).parents[1]
TESTS = Path(__file__).parents[1]
SECONDS = 240
"""More than any of these commands takes on a busy machine."""


def environment(**changes):
    """The environment of a command: this source, one thread."""
    path = os.pathsep.join([str(SOURCE), str(TESTS)])
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | changes


def start(*words, code=None, **changes):
    """Start `voltween WORDS`, or Python code, as the leader of a group of processes."""
    command = ["-c", code] if code else ["-m", "voltween", *map(str, words)]
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**changes),
        start_new_session=True,
    )


def finish(process):
    """Wait for a process; its exit code, output and errors."""
    try:
        output, errors = process.communicate(timeout=SECONDS)
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

"""A process that has imported all that commands need, and whose copies run them.

A copy is a process of its own, which signals can reach, but takes no time to start: the
moments at which it is killed are then those of its work.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

from support.processes import environment, no_signals_ignored

_SERVER = """
import json, os, sys, traceback
import torch._dynamo, voltween.registration, voltween.training, voltween.evaluation
from voltween.__main__ import main
print("ready", flush=True)
for line in sys.stdin:
    words, log = json.loads(line)
    copy = os.fork()
    if not copy:
        os.setsid()
        print(os.getpid(), flush=True)
        for stream in (1, 2):
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.argv, code = ["voltween", *words], 0
        try:
            main()
        except SystemExit as ending:
            code = ending.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), flush=True)
"""


class Server:
    """Runs commands one after another, each in a copy of one process."""

    def __init__(self, process, log):
        self._process, self.log = process, log

    def start(self, *words):
        """Starts `voltween WORDS`; the number of its process and of its group."""
        self.log.write_text("")
        request = json.dumps([[str(word) for word in words], str(self.log)])
        self._process.stdin.write(f"{request}\n".encode())
        self._process.stdin.flush()
        return self._next()

    def finish(self):
        """Waits for the end of the command; its exit code, and what it said."""
        return self._next(), self.log.read_text("utf-8")

    def _next(self):
        return int(self._process.stdout.readline())


@contextmanager
def command_server(folder):
    """A server that ends with the block; commands write to a log in the folder."""
    with no_signals_ignored():
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(PYTHONUTF8="1"),
        )
    try:
        assert process.stdout.readline() == b"ready\n"
        yield Server(process, folder / "log.txt")
    finally:
        process.stdin.close()
        process.stdout.close()
        process.send_signal(signal.SIGKILL)
        process.wait()


def kill_group(number, signal_number):
    """Sends a signal to a command and its workers; false if it had ended before."""
    try:
        os.killpg(number, signal_number)
    except ProcessLookupError:
        return False
    return True

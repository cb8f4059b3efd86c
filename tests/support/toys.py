"""Small tasks for engines, in a module that worker processes can import."""

import os
import signal
import time
import warnings
from pathlib import Path

from voltween.errors import InputError, OutputError


def write(folder, name, text):
    """Writes a text to a file of the folder."""
    (Path(folder) / name).write_text(text)


def note(folder, name, *, ending=""):
    """Adds a line to the file of a task: one per call."""
    with (Path(folder) / f"{name}{ending}").open("a") as file:
        file.write(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}\n")


def note_slowly(folder, name, seconds):
    """Notes the beginning, waits, and notes the end."""
    note(folder, name, ending=".begun")
    time.sleep(seconds)
    note(folder, name)


def behave(folder, name):
    """Notes the call, and does what the name says."""
    note(folder, name)
    if name == "bad":
        raise InputError(about=name, expected="a good one", got="a bad one")
    if name == "odd":
        raise KeyError("two\nlines")
    if name.startswith("warning"):
        warnings.warn("doubtful", stacklevel=1)
    if name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "full":
        raise OutputError(about=folder, expected="space", got="none")
    if name == "greedy":
        held = bytearray(os.urandom(1 << 20) * 1500)
        time.sleep(60)
        note(folder, f"{name} {len(held)}")

"""Commands in a terminal, and what is then on its screen."""

import os
import pty
import re
import subprocess
import sys

from support.processes import SECONDS, environment

_PARTS = re.compile(r"(\x1b\[[\d;?]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)")


def shown_by(code):
    """Runs Python code in a terminal of 80 columns; returns the lines on its screen."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="xterm", COLUMNS="80", LINES="24"),
    ) as process:
        os.close(theirs)
        output = b"".join(_pieces(ours))
        process.wait(SECONDS)
    os.close(ours)
    return screen(output.decode("utf-8"))


def screen(output):
    """The lines that a terminal shows after an output; empty ones are left out."""
    rows, row, column = [""], 0, 0
    for code, text in _PARTS.findall(output):
        if text:
            line = rows[row].ljust(column)
            rows[row] = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            rows += [""] * (row == len(rows))
        elif code.endswith("A"):
            row -= int(code[2:-1] or 1)
        elif code.endswith("K"):
            rows[row] = ""
    return [line.rstrip() for line in rows if line.strip()]


def _pieces(terminal):
    """What is written to a terminal until nobody has it open."""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # Linux says so that it is closed
            return
        if not piece:
            return
        yield piece

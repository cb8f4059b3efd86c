"""Output in any locale, and without a reader."""

import subprocess
import sys

import pytest

from support.processes import environment, run

LOCALE = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
}


def test_text_beyond_the_locale_does_not_end_a_command():
    code, output, errors = run("models", **LOCALE)
    assert (code, errors) == (0, "")
    assert output.isascii()


def test_names_of_any_letters_are_read_in_any_locale(tmp_path):
    (tmp_path / "größe.csv").write_text("case,image,split\nä,ä.nii,test\n", "utf-8")
    (tmp_path / "two.csv").write_text("case,image,split\nb,ä.nii,test\n", "utf-8")
    words = ["join", tmp_path / "größe.csv", tmp_path / "two.csv", "--out", tmp_path]
    code, _, errors = run(*words, **LOCALE)
    assert code == 2  # the scan is missing
    assert errors.count("\n") == 1
    assert "\\xe4.nii" in errors


@pytest.mark.parametrize("words", [["--help"], ["register", "--help"], ["nonsense"]])
def test_a_closed_pipe_ends_a_command_silently(words):
    with subprocess.Popen(
        [sys.executable, "-m", "voltween", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if words != ["nonsense"] else subprocess.STDOUT,
        env=environment(),
    ) as process:
        process.stdout.close()
        errors = process.stderr.read() if process.stderr else b""
        assert (process.wait(), errors) == (141, b"")


WRITING = """
import os
import time
from voltween.cli import main

def run(words):
    from voltween.cli.console import console, error_console
    from voltween.cli.progress import changing_line
    from voltween.process import dropped_on_failure

    with changing_line("working"):
        with dropped_on_failure():
            error_console.print("a warning")
            console.print("a result")
            os.write(2, b"a line of a library\\n")
            time.sleep(0.3)  # in which the line is drawn again
        time.sleep(0.3)
    console.print("the end")

main(run=run)
"""
FAILING = """
import os
from contextlib import suppress
from voltween.cli import main

def run(words):
    from voltween.cli.console import error_console
    from voltween.process import dropped_on_failure

    with suppress(OSError), dropped_on_failure():
        error_console.print("a warning")
        os.write(2, b"a line of a library\\n")
        raise OSError

main(run=run)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_what_is_said_while_a_file_is_written_leaves_no_bar_behind():
    """A registration writes files in a thread while its bar goes on."""
    from support.terminal import shown_by

    lines = ["a warning", "a result", "a line of a library", "the end"]
    assert shown_by(WRITING) == lines


def test_a_warning_while_a_file_cannot_be_written_is_not_lost():
    process = subprocess.run(
        [sys.executable, "-c", FAILING],
        capture_output=True,
        check=True,
        env=environment(),
    )
    assert process.stderr.decode() == "a warning\n"

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

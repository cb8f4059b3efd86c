"""The bar of a registration: its parts, its share, and what is printed above it."""

import io
import re
import warnings

import pytest
from rich.progress import Task
from rich.text import Text

from support.commands import register, write_pair
from voltween.cli import register as register_command
from voltween.cli import registration_bar as bar
from voltween.cli.console import console, error_console
from voltween.cli.progress import changing_line
from voltween.cli.registration_bar import Stages, TimeLeft, registration_bar
from voltween.refinement import Step
from voltween.registration import begin_part, watching_parts


def test_the_share_grows_to_the_end():
    stages = Stages()
    shares = []
    for part in bar._PARTS:
        stages.begin(part)
        shares.append(stages.done)
    assert shares[0] == 0.0
    assert shares == sorted(shares)
    assert len(set(shares)) == len(shares)
    assert 0.9 < shares[-1] < 1.0


def test_parts_that_there_will_not_be_take_no_share():
    stages = Stages(frozenset({"inverse", "overview", "report"}))
    stages.begin("files")
    before_last = stages.done
    stages.begin("inverse")
    assert stages.done == before_last
    assert stages.words == "writing the files"


def test_a_refinement_goes_on_by_its_steps():
    stages = Stages()
    stages.begin("refinement")
    shares = [stages.done]
    for part, levels in (("affine", 2), ("dense", 3)):
        for level in range(1, levels + 1):
            for step in range(1, 11):
                stages.refine(Step(part, level, levels, step, 10, 0.5))
                shares.append(stages.done)
    assert shares == sorted(shares)
    stages.begin("unfolding")
    assert shares[-1] == pytest.approx(stages.done, abs=1e-9)


def test_steps_of_another_part_do_not_count():
    stages = Stages()
    stages.begin("search")
    before = stages.done
    stages.refine(Step("affine", 1, 2, 5, 10, 0.5))
    assert stages.done == before


@pytest.mark.parametrize(
    ("seconds", "share", "words"),
    [(10, 0.5, "10 s left"), (300, 0.5, "5 min left"), (1, 0.5, ""), (10, 0.01, "")],
)
def test_time_left(seconds, share, words):
    task = Task(0, "", 1.0, share, _get_time=lambda: float(seconds))
    task.start_time = 0.0
    assert TimeLeft().render(task) == Text(words)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_all_parts_of_a_registration_have_words_and_a_share(tmp_path, monkeypatch):
    parts = []
    begin = Stages.begin

    def note(self, part):
        parts.append((part, part in self._shares))
        begin(self, part)

    monkeypatch.setattr(Stages, "begin", note)
    folder = write_pair(tmp_path)
    labels = {"fixed_labels": "fixed_labels.nii.gz"}
    labels["moving_labels"] = "moving_labels.nii.gz"
    register(folder, "--refine", "6", "--jacobian", "--no-folding", **labels)
    assert all(is_expected for _, is_expected in parts), parts
    names = [name for name, _ in parts]
    order = list(bar._PARTS)
    assert names == sorted(names, key=order.index)
    assert {"reading", "search", "refinement", "inverse", "report", "files"} <= {*names}


@pytest.fixture(name="terminal")
def terminal_fixture(monkeypatch):
    """The error output as a terminal of 80 columns; yields what is written to it."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    text = io.StringIO()
    monkeypatch.setattr(error_console, "_file", text)
    monkeypatch.setattr(error_console, "is_interactive", True)
    return text


def shown_lines(text):
    """The lines of a terminal's output without its codes."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text.getvalue()).replace("\r", "\n")


def test_the_bar_names_the_part_and_fits_80_columns(terminal):
    with registration_bar() as on_step:
        begin_part("refinement")
        on_step(Step("affine", 1, 2, 5, 10, 0.5))
        begin_part("inverse")
    text = shown_lines(terminal)
    assert "computing the inverse" in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_is_printed_stands_above_the_bar(terminal):
    with changing_line("working"):
        error_console.print("voltween: warning: odd scan")
        console.print("a result")
    lines = shown_lines(terminal).splitlines()
    assert "voltween: warning: odd scan" in lines
    assert "a result" in lines


def test_without_a_terminal_there_is_no_bar(capsys):
    with changing_line("working"):
        console.print("a result")
    assert capsys.readouterr() == ("a result\n", "")


def test_parts_are_told_within_the_block_alone():
    parts = []
    with watching_parts(parts.append):
        begin_part("one")
    begin_part("two")
    assert parts == ["one"]


def test_a_warning_of_a_registration_is_printed_through_the_bar(
    terminal, tmp_path, monkeypatch
):
    def warn(*_, **__):
        begin_part("inverse")
        warnings.warn("the inverse is not exact", UserWarning, stacklevel=1)
        raise SystemExit(0)

    monkeypatch.setattr(register_command, "register_files", warn)
    folder = write_pair(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with pytest.raises(SystemExit):
            register(folder)
    lines = shown_lines(terminal).splitlines()
    assert "voltween: warning: the inverse is not exact" in lines

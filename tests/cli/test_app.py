"""The entry point: help, version, errors, and what starting a command imports."""

import gc
import subprocess
import sys
from dataclasses import dataclass

import pytest

import voltween
from voltween import starting
from voltween.cli import app, main
from voltween.cli.app import COMMANDS


def test_the_package_itself_can_be_run():
    process = subprocess.run(
        [sys.executable, "-m", "voltween", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.startswith("voltween ")


def modules_after(code):
    """Top-level modules that a new process has imported after the code."""
    code = f"import sys; {code}; print(*{{m.split('.')[0] for m in sys.modules}})"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(process.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_help_and_version_import_next_to_nothing(words):
    modules = modules_after(f"from voltween.cli import main; main(['{words}'])")
    assert not modules & {"torch", "numpy", "SimpleITK", "rich", "tyro"}


def test_commands_start_without_what_they_do_not_need():
    modules = [name.replace("-", "_") for name in COMMANDS if name != "bench"]
    names = ", ".join(f"voltween.cli.{module}" for module in modules)
    slow = {"matplotlib", "nilearn", "pyvista", "vtkmodules", "tensorboardX"}
    assert not modules_after(f"import {names}") & slow


def test_version_is_that_of_the_package(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"voltween {voltween.__version__}\n"


def test_overview_lists_every_command(capsys):
    for words in ([], ["--help"], ["-h"]):
        main(words)
        text = capsys.readouterr().out
        assert all(f"  {name} " in text for name in COMMANDS)


def test_unknown_commands_are_refused_in_one_line(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["regster", "a", "b"])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error == (
        "voltween: expected a command, got 'regster': did you mean register?\n"
    )


def error_of(words, capsys):
    """The one line with which a command is refused."""
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_names_in_errors_give_the_terminal_no_orders(capsys):
    error = error_of(["split", "\x1b[2Ja\nb.csv", "--out", "o.csv"], capsys)
    assert r"\x1b[2Ja b.csv" in error


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    def run(command):
        raise MemoryError

    monkeypatch.setattr("voltween.cli.models.Models.run", run)
    assert "expected enough memory, got too little" in error_of(["models"], capsys)


@pytest.mark.parametrize(
    ("option", "value"), [("--val", "nan"), ("--val", "1e400"), ("--seed", 40 * "9")]
)
def test_numbers_that_no_program_works_with_are_refused(option, value, capsys):
    error = error_of(["split", "a.csv", "--out", "o.csv", option, value], capsys)
    assert f"voltween: {option}: expected a " in error


def test_models_lists_the_shipped_ones(capsys):
    main(["models"])
    listing = capsys.readouterr().out
    assert "brain" in listing
    assert "hippocampus" in listing


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"voltween {command}" in text
    assert COMMANDS[command].split(":")[0] in " ".join(text.split())


def test_unused_cycles_are_searched_again_when_a_command_runs(monkeypatch):
    @dataclass
    class Command:
        def run(self):
            assert gc.isenabled()
            assert starting._is_paused is False

    monkeypatch.setattr(app, "read_command", lambda name, words: Command())
    starting.pause_collector()
    try:
        main(["models"])
    finally:
        gc.unfreeze()
        gc.enable()

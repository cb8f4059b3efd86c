"""The console: names of files and cases are shown, and give no orders."""

import io

import pytest
from rich.progress import Progress
from rich.table import Table

from voltween.cli import console as console_module
from voltween.cli.console import PlainConsole, show_markdown
from voltween.cli.progress import Description

NAME = "[/]\x1b[31m[bold]a\r"
SHOWN = r"[/]\x1b[31m[bold]a\r"


@pytest.fixture(name="console")
def console_fixture():
    console = PlainConsole()
    console.file = io.StringIO()
    return console


def test_names_are_shown_as_they_are(console):
    console.print(NAME)
    table = Table(NAME)
    table.add_row(NAME)
    console.print(table)
    console.print(f"{NAME}\n", style="bold")
    assert console.file.getvalue().count(SHOWN) == 4
    assert "\x1b[31m" not in console.file.getvalue()


def test_names_beside_progress_bars_are_shown_as_they_are(console):
    with Progress(Description(), console=console) as progress:
        progress.add_task(NAME, total=1)
        progress.print(NAME)
    assert console.file.getvalue().count(SHOWN) >= 2
    assert "\x1b[31m" not in console.file.getvalue()


def test_long_lines_of_a_page_keep_their_ends(console, monkeypatch):
    console.width = 40
    monkeypatch.setattr(console_module, "console", console)
    show_markdown(
        f"# Failures\n\n- gone: {'word ' * 20}end\n\nText {'word ' * 20}end\n"
    )
    text = console.file.getvalue()
    assert text.count("word") == 40
    assert text.count("end") == 2

"""README and docs: every `voltween ...` is a command with options that exist."""

import contextlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from voltween.cli.app import COMMANDS, read_command

ROOT = Path(__file__).parents[1]
SYNOPSIS = ROOT / "docs" / "commands.md"
CARDS = ROOT / "src" / "voltween" / "models"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(CARDS.glob("*.md")),
]
SHORTENED = re.compile(r"\.\.\.|^\[|\||^TOOL$")
"""Words that stand for others, as in [--log] or fsl|afni."""
NUMBERS = {"N", "MM"}
BEGINNING = re.compile(r"(?:\w+=\S+ )*(voltween .*)")


def page_id(page):
    """Path of a page below the repository."""
    return str(page.relative_to(ROOT))


def lines_of_blocks(text):
    """Command lines of the blocks for a shell, without what is set before them."""
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(blocks).replace("\\\n", "").splitlines()
    return [match[1] for line in lines if (match := BEGINNING.match(line))]


def lines_of_text(text):
    """Command lines within sentences and tables, which have at least one word more."""
    lines = re.findall(r"`(voltween\s[^`]+)`", text)
    lines = [" ".join(line.replace(r"\|", "|").split()) for line in lines]
    return [line for line in lines if len(line.split()) > 2]


def words_of(line):
    """The command and its words, up to where the shell sends what it prints."""
    _, name, *words = shlex.split(line, comments=True)
    ends = [number for number, word in enumerate(words) if word in (">", "&&", "|")]
    return name, words[: min(ends, default=len(words))]


@cache
def help_of(name, kind):
    """The help of a command, or of one kind of it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        read_command(name, [*kind, "--help"])
    return printed.getvalue()


def unknown_options(line):
    """The options of a shortened command line that its command does not have."""
    name, words = words_of(line)
    assert name in COMMANDS, line
    text = help_of(name, tuple(words[:1]) if name == "figures" else ())
    named = [word.strip("[]").split("=")[0] for word in words]
    options = [word for word in named if word.startswith("--")]
    return [option for option in options if not re.search(rf"{option}\b", text)]


def refusal(line, capsys):
    """What the real parser says against a command line; nothing if it reads it."""
    name, words = words_of(line)
    assert name in COMMANDS, line
    words = ["2" if word in NUMBERS else word for word in words]
    try:
        read_command(name, words)
    except SystemExit as end:
        printed = capsys.readouterr()
        return f"{line}: {printed.err}{printed.out}" if end.code else ""
    return ""


def is_whole(line):
    return not any(SHORTENED.search(word) for word in words_of(line)[1])


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_command_lines_can_be_read(page, capsys):
    text = page.read_text("utf-8")
    blocks = [] if page == SYNOPSIS else lines_of_blocks(text)
    sentences = [ln for ln in lines_of_text(text) if "--out" in ln and is_whole(ln)]
    lines = dict.fromkeys([*blocks, *sentences])
    assert [said for line in lines if (said := refusal(line, capsys))] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_options_of_shortened_command_lines_exist(page):
    text = page.read_text("utf-8")
    lines = lines_of_text(text) + (lines_of_blocks(text) if page == SYNOPSIS else [])
    lines = [line for line in lines if not ("--out" in line and is_whole(line))]
    assert {line: unknown for line in lines if (unknown := unknown_options(line))} == {}


def test_the_synopsis_has_every_command():
    lines = lines_of_blocks(SYNOPSIS.read_text("utf-8"))
    assert {words_of(line)[0] for line in lines} == set(COMMANDS)


def test_wrong_options_are_noticed(capsys):
    assert refusal("voltween register a.nii b.nii --ouput c", capsys)
    assert unknown_options("voltween register --refinement fast") == ["--refinement"]
    assert not refusal("voltween register a.nii b.nii --out c", capsys)

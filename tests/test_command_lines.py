"""README and docs: every `voltween ...` is a command with options that exist."""

import contextlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from voltween.cli.app import COMMANDS, read_command
from voltween.cli.common import split_words
from voltween.cli.help import help_of
from voltween.cli.kinds import kind_of
from voltween.errors import InputError

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
NO_COMMANDS = {"COMMAND", "--help", "--version"}
BEGINNING = re.compile(r"(?:\w+=\S+ )*(voltween .*)")


def page_id(page):
    """Path of a page below the repository."""
    return str(page.relative_to(ROOT))


def lines_of_blocks(text):
    """Command lines of the blocks for a shell, without what is set before them.

    The synopsis continues a line by four spaces.
    """
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    blocks = [block for language, block in found if language in ("", "bash")]
    joined = "\n".join(blocks).replace("\\\n", "").replace("\n    ", " ")
    lines = joined.splitlines()
    return [match[1] for line in lines if (match := BEGINNING.match(line))]


def lines_of_text(text):
    """Command lines within sentences and tables, which have at least one word more."""
    lines = re.findall(r"`(voltween\s[^`]+)`", text)
    lines = [" ".join(line.replace(r"\|", "|").split()) for line in lines]
    return [line for line in lines if len(line.split()) > 2]


def words_of(line):
    """The command and its words, up to where the shell sends what it prints."""
    _, name, *words = shlex.split(line, comments=True)
    marks = (">", ">>", "&&", "|")
    ends = [number for number, word in enumerate(words) if word in marks]
    return name, words[: min(ends, default=len(words))]


@cache
def answer(*words):
    """The exit code of the real parser, and what it says against a command line."""
    name, rest = words[0], list(words[1:])
    if "--help" in rest:
        return 0, help_of(name, kind_of(name, rest), rest)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            read_command(name, split_words(name, rest)[1])
        except SystemExit as end:
            return end.code, printed.getvalue()
        except InputError as error:
            if name not in COMMANDS:
                raise
            return 2, str(error)
    return 0, ""


def unknown_options(line):
    """The options of a shortened command line that its command does not have."""
    name, words = words_of(line)
    kind = ["methods" if words[0] == "KIND" else words[0]] if name == "figures" else []
    _, text = answer(name, *kind, "--help")
    named = [word.strip("[]").split("=")[0] for word in words]
    options = [word for word in named if word.startswith("--")]
    return [option for option in options if not re.search(rf"{option}\b", text)]


def refusal(line):
    """Returns the error of the real parser on a command line; empty if it reads it.

    All paths count as one, so that lines that differ in nothing else are read once.
    """
    name, words = words_of(line)
    words = [re.sub(r"^[\w./-]+\.(nii|nii\.gz|mha|h5|csv)$", "a.csv", w) for w in words]
    code, said = answer(name, *("2" if word in NUMBERS else word for word in words))
    return f"{line}: {said}" if code else ""


def is_whole(line):
    return not any(SHORTENED.search(word) for word in words_of(line)[1])


def command_lines(page):
    """The command lines of a page: those that must be whole, and shortened ones."""
    text = page.read_text("utf-8")
    blocks, sentences = (
        [line for line in lines if words_of(line)[0] not in NO_COMMANDS]
        for lines in (lines_of_blocks(text), lines_of_text(text))
    )
    whole = [line for line in blocks if page != SYNOPSIS or is_whole(line)]
    whole += [line for line in sentences if "--out" in line and is_whole(line)]
    return dict.fromkeys(whole), {*blocks, *sentences} - {*whole}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_command_lines_have_options_that_exist(page):
    whole, shortened = command_lines(page)
    assert [said for line in whole if (said := refusal(line))] == []
    assert [(ln, no) for ln in shortened if (no := unknown_options(ln))] == []


def test_the_synopsis_has_every_command():
    lines = lines_of_blocks(SYNOPSIS.read_text("utf-8"))
    assert {words_of(line)[0] for line in lines} == set(COMMANDS)


def test_commands_that_do_not_exist_are_noticed():
    with pytest.raises(InputError, match="expected a command"):
        refusal("voltween regster a.nii b.nii --out c")


def test_wrong_options_are_noticed():
    assert refusal("voltween register a.nii b.nii --ouput c")
    assert unknown_options("voltween register --refinement fast") == ["--refinement"]
    assert not refusal("voltween register a.nii b.nii --out c")

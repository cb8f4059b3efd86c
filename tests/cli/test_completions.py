"""Completion: what the shells offer after some words."""

import shlex
import shutil
import subprocess

import pytest

from voltween.cli import main
from voltween.cli.completions import completion_script

BASH = """
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _voltween
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
compdef() {{ : }}; _files() {{ print FILES }}
compadd() {{ shift; for one in ${{(P)1}}; print -r -- $one }}
{script}
words=({words}); CURRENT=$#words; PREFIX=$words[CURRENT]; _voltween
"""
QUESTIONS = [
    ("voltween regi", {"register"}),
    ("voltween register --re", {"--refine", "--regularity", "--report-crop"}),
    ("voltween register a b --refine a", {"auto", "accurate"}),
    ("voltween register a b --similarity local", {"local correlation"}),
    ("voltween register a b --similarity MI", {"MIND-SSC"}),
    ("voltween figures cu", {"curves"}),
    ("voltween figures curves --o", {"--out"}),
    ("voltween schema rec", {"record"}),
    ("voltween split --js", {"--json"}),
]


@pytest.fixture(name="scripts", scope="module")
def scripts_fixture():
    return {shell: completion_script(shell) for shell in ("bash", "zsh", "fish")}


def output_of(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    process = subprocess.run(
        [shell, "-c", script], capture_output=True, text=True, check=False, cwd="/"
    )
    assert process.stderr == ""
    return {line.split("\t")[0] for line in process.stdout.splitlines() if line}


@pytest.mark.parametrize(("line", "answers"), QUESTIONS)
def test_bash(scripts, line, answers):
    words = " ".join(map(shlex.quote, line.split(" ")))
    offered = output_of("bash", scripts["bash"] + BASH.format(words=words))
    assert {word.replace("\\ ", " ") for word in offered} == answers


def test_bash_offers_files_elsewhere(scripts):
    script = scripts["bash"] + BASH.format(words="voltween apply us")
    assert output_of("bash", script) == {"usr"}


@pytest.mark.parametrize(("line", "answers"), QUESTIONS)
def test_zsh(scripts, line, answers):
    words = " ".join(map(shlex.quote, line.split(" ")))
    offered = output_of("zsh", ZSH.format(script=scripts["zsh"], words=words))
    assert answers <= offered  # compadd leaves out what does not fit


@pytest.mark.parametrize(("line", "answers"), QUESTIONS)
def test_fish(scripts, line, answers):
    script = f"{scripts['fish']}\ncomplete -C {shlex.quote(line)}"
    assert output_of("fish", script) == answers


def test_the_command_prints_the_script(scripts, capsys):
    main(["completion", "fish"])
    assert capsys.readouterr().out.rstrip("\n") == scripts["fish"].rstrip("\n")

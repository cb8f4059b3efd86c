"""Help: its width, its groups, its defaults, and examples that are command lines."""

import shlex
from functools import partial

import pytest

from voltween.cli import option_groups
from voltween.cli.catalogue import COMMANDS, WITHOUT_PREFIXES, overview
from voltween.cli.examples import EXAMPLES
from voltween.cli.help import help_of
from voltween.cli.kinds import kind_of
from voltween.cli.option_groups import in_groups
from voltween.cli.parameters import parameters_of, subcommands_of
from voltween.cli.words import check_command


def help_text(command, *words):
    return help_of(command, kind_of(command, list(words)), list(words))


def parameters(command):
    """All parameters of a command, those of its subcommands, too."""
    kind = kind_of(command, [])
    is_grouped = command in WITHOUT_PREFIXES
    kinds = list(subcommands_of(kind).values()) or [kind]
    return [p for k in kinds for p in parameters_of(k, is_grouped=is_grouped)]


def test_the_overview_fits_a_terminal():
    assert max(map(len, overview().splitlines())) <= 80
    for title in ("Use", "Train", "Measure", "Paper"):
        assert f"\n{title}:\n" in overview()
    assert (
        "\n  voltween register fixed.nii.gz moving.nii.gz --out result\n" in overview()
    )


@pytest.mark.parametrize(("columns", "most"), [("80", 80), ("120", 100)])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_wide_as_the_terminal(command, columns, most, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    lines = help_text(command).splitlines()
    examples = {f"  {line}" for line in EXAMPLES[command]}
    widths = [len(line) for line in lines if line not in examples]
    assert max(widths) <= most
    assert max(widths) > 0.8 * min(most, 80)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_every_option_once(command):
    if subcommands := subcommands_of(kind_of(command, [])):
        texts = [help_text(command, name) for name in subcommands]
    else:
        texts = [help_text(command)]
    shown = "\n".join(texts)
    for parameter in parameters(command):
        for flag in parameter.flags:
            assert f" {flag}" in shown
    for text in texts:
        assert text.count("\n  --json ") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_command_lines(command):
    assert len(EXAMPLES[command]) == 2
    for example in EXAMPLES[command]:
        words = shlex.split(example)
        if words[0] != "voltween":
            assert words[0] == "pip"
            continue
        name, rest = words[1], [word for word in words[2:] if word != "--json"]
        rest = rest[: rest.index(">")] if ">" in rest else rest
        rest = rest[: rest.index(">>")] if ">>" in rest else rest
        is_grouped = name in WITHOUT_PREFIXES
        check_command(name, kind_of(name, rest), rest, is_grouped=is_grouped)


def test_groups_hold_options_that_there_are():
    for command, titles in option_groups._TITLES.items():
        names = {p.name.removeprefix("--") for p in parameters(command)}
        if command == "register":
            names |= {p.name.removeprefix("--") for p in parameters("cohort")}
            unknown = {name for group in titles.values() for name in group} - names
            assert not unknown
    register = in_groups("register", parameters("register"))
    assert list(register)[:4] == ["Basic", "Refinement", "Guidance", "Output"]
    assert [p.name for p in register["Basic"]][:4] == [
        *("--out", "--model", "--refine", "--device")
    ]
    assert not register["Workers"]


def test_every_option_is_in_one_group():
    for command in COMMANDS:
        all_parameters = parameters_of_one(command)
        groups = in_groups(command, all_parameters)
        names = [p.name for options in groups.values() for p in options]
        assert sorted(names) == sorted(
            p.name for p in all_parameters if not p.is_argument
        )


def parameters_of_one(command):
    kind = kind_of(command, [])
    kind = next(iter(subcommands_of(kind).values()), kind)
    return parameters_of(kind, is_grouped=command in WITHOUT_PREFIXES)


def test_defaults_are_the_true_ones(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "Share of the subjects to draw for test. (default: 0)" in help_text("split")
    assert "Number of steps. (default: 2000)" in " ".join(help_text("train").split())
    words = ("--network", "voxelmorph-2")
    other = " ".join(help_text("train", *words).split())
    assert "Number of steps. (default: 5000)" in other
    assert "(default: None)" not in help_text("register")


def test_a_long_list_of_values_is_in_the_text(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = " ".join(help_text("register").split())
    assert "--similarity NAME" in text
    assert "One of: correlation, local correlation, mean squared error" in text


def test_partials_give_their_defaults():
    kind = kind_of("train", [])
    assert isinstance(kind, partial)
    (steps,) = (p for p in parameters_of(kind) if p.name == "--steps")
    assert steps.default == kind.keywords["training"].steps

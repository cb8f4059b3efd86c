"""Words of a command line: what is wrong with them is said in one line."""

import contextlib
import io
import re

import pytest
import tyro

from voltween.cli import main
from voltween.cli.app import read_command
from voltween.cli.catalogue import COMMANDS, WITHOUT_PREFIXES
from voltween.cli.kinds import kind_of
from voltween.cli.parameters import parameters_of, subcommands_of
from voltween.errors import InputError

SPLIT = ["split", "a.csv", "--out", "b.csv"]
REGISTER = ["register", "a.nii", "b.nii", "--out", "c"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["regster"], "expected a command, got 'regster': did you mean register?"),
        (["xyz"], "expected a command, got 'xyz': see voltween --help"),
        (
            [*REGISTER, "--oot", "d"],
            "register: expected one of its options, got --oot: did you mean --out?",
        ),
        ([*REGISTER, "--fixed_label", "d"], "did you mean --fixed-labels?"),
        ([*REGISTER, "--xyz"], "got --xyz: see voltween register --help"),
        (
            ["register", "a.nii"],
            "register: expected MOVING and --out PATH, got neither",
        ),
        (["register", "a", "b"], "register: expected --out PATH, got none"),
        ([*REGISTER, "d.nii"], "register: expected FIXED MOVING, got 'd.nii' as well"),
        ([*SPLIT, "--seed", "x"], "--seed: expected a whole number, got 'x'"),
        ([*SPLIT, "--seed", "1.5"], "--seed: expected a whole number, got '1.5'"),
        ([*SPLIT, "--val", "a"], "--val: expected a number, got 'a'"),
        (
            [*SPLIT, "--test-from", "vla"],
            "--test-from: expected val or test, got 'vla': did you mean val?",
        ),
        (
            [*REGISTER, "--refine", "acurate"],
            "--refine: expected fast, accurate, auto, none or a whole number, got "
            "'acurate': did you mean accurate?",
        ),
        ([*REGISTER, "--voxels", "x"], "--voxels: expected a number or own, got 'x'"),
        ([*SPLIT, "--seed"], "--seed: expected a value (N), got none"),
        ([*SPLIT, "--seed", "--val", "1"], "--seed: expected a value (N), got none"),
        ([*REGISTER, "--jacobian=1"], "--jacobian: expected no value, got 1"),
        (
            ["import-rcn", "a", "--out", "b", "--spacing-mm", "1", "2"],
            "--spacing-mm: expected 3 values (X X X), got 1 2",
        ),
        (["figures"], "figures: expected one of tweening, sections"),
        (["figures", "curvs"], "got 'curvs': did you mean curves?"),
        (["schema", "plans"], "NAME: expected registration, plan or record, got 'plan"),
        (["models", "--log"], "--log: expected a file, got none"),
        (
            [*REGISTER, "--initial", "1.h5", "--initial=2.h5"],
            "--initial: expected the option once, with all its values",
        ),
        (
            ["import-rcn", "a", "--out", "b"] + 2 * ["--spacing-mm", "1", "1", "1"],
            "--spacing-mm: expected the option once, with all its values",
        ),
        (
            ["template", "a.csv", "--out", "b", "--sharpen", "99"],
            "--sharpen: expected at most 10, got 99",
        ),
        (
            ["train", "a.csv", "--out", "b", "--objective.window-voxels", "9999999999"],
            "--objective.window-voxels: expected at most",
        ),
        (
            ["train", "a.csv", "--out", "b", "--objective.overlap", "-1"],
            "--objective.overlap: expected at least 0",
        ),
        (["register", "a.nii", "b.nii", "--out", ""], "--out: expected a path, got ''"),
        (["register", "", "b.nii", "--out", "c"], "FIXED: expected a path, got ''"),
    ],
)
def test_faults_are_one_line(words, error, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("voltween: ")
    assert error in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--val=0.5"], "val", 0.5),
        (["--val", "-0.5"], "val", -0.5),
        (["--val", "1e-3"], "val", 1e-3),
        (["--test_from", "val"], "test_from", "val"),
        (["--val", "0.1", "--val", "0.2"], "val", 0.2),
    ],
)
def test_words_are_taken_as_they_are_meant(words, name, value):
    command = read_command("split", [*SPLIT[1:], *words])
    assert getattr(command, name) == value


def test_values_of_an_option_that_is_repeated_are_not_dropped(capsys):
    """Tools of ITK have them repeated; the parser would take the last one alone."""
    words = ["apply", "a.nii", "--out", "b.nii", "--transform", "1.h5"]
    with pytest.raises(SystemExit):
        main([*words, "--transform", "2.h5"])
    assert capsys.readouterr().err == (
        "voltween: --transform: expected the option once, with all its values, got the "
        "option twice: --transform PATH ...\n"
    )


def test_a_dash_dash_ends_the_options():
    command = read_command("split", ["--out", "b.csv", "--", "--odd.csv"])
    assert str(command.manifest) == "--odd.csv"


def test_none_takes_a_value_of_a_plan_away():
    assert read_command("train", ["p", "--out", "r", "--patience", "None"])
    with pytest.raises(InputError, match="--patience"):
        read_command("train", ["p", "--out", "r", "--patience", "never"])


@pytest.mark.parametrize("command", COMMANDS)
def test_names_are_those_that_the_parser_reads(command):
    kind = kind_of(command, [])
    is_grouped = command in WITHOUT_PREFIXES
    marks = (
        tyro.conf.DisallowNone,
        tyro.conf.FlagCreatePairsOff,
        tyro.conf.OmitArgPrefixes,
    )
    for one in subcommands_of(kind).values() or [kind]:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
            tyro.cli(one, args=["--help"], config=marks if is_grouped else None)
        names = set(
            re.findall(r"^[│| ] (--[a-z][\w.-]*)", text.getvalue(), re.MULTILINE)
        )
        names |= set(re.findall(r", (--[\w.-]*no-[\w.-]+)", text.getvalue()))
        own = {f for p in parameters_of(one, is_grouped=is_grouped) for f in p.flags}
        assert own == names - {"--help"}

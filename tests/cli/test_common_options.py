"""--quiet, --json and --log: what is said, where, and in which form."""

import json
import logging
import re
import shlex
import shutil
import signal
import warnings

import numpy as np
import pytest

from support.commands import run_here, write_pair
from support.processes import no_signals_ignored
from support.scans import FIXED
from voltween import io
from voltween.cli import log
from voltween.cli import register as register_command
from voltween.cli.catalogue import COMMANDS
from voltween.cli.common import COMMON, CommonOptions, split_words
from voltween.cli.console import speaking
from voltween.cli.kinds import kind_of
from voltween.cli.parameters import parameters_of
from voltween.cli.results import plain
from voltween.spatial import Image

CASES = "case,image,split\n" + "".join(f"{n},{n}.nii.gz,train\n" for n in "abcdefgh")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*")


@pytest.fixture(name="manifest")
def manifest_fixture(tmp_path):
    for number, name in enumerate("abcdefgh"):
        io.write(Image(FIXED.data + number, FIXED.grid), tmp_path / f"{name}.nii.gz")
    (tmp_path / "cases.csv").write_text(CASES, "utf-8")
    return tmp_path / "cases.csv"


def split(manifest, *options):
    out = manifest.parent / "out.csv"
    return run_here("split", manifest, "--out", out, "--val", 0.3, *options)


def test_json_is_all_that_is_on_the_output(manifest, capsys):
    assert split(manifest, "--json") == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["command"] == "split"
    assert answer["result"]["wrote"] == [str(manifest.parent / "out.csv")]
    assert answer["error"] is None
    assert "Wrote" in shown.err


def test_json_has_the_error(tmp_path, capsys):
    assert split(tmp_path / "none.csv", "--json") == 2
    shown = capsys.readouterr()
    assert "none.csv: expected a file" in json.loads(shown.out)["error"]
    assert shown.err.count("\n") == 1


def test_json_has_the_error_of_an_unknown_option(capsys):
    assert run_here("split", "--json", "--oot") == 2
    assert "--oot" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (MemoryError("4 TB"), "enough memory, got too little (4 TB)"),
        (RuntimeError("[enforce fail] can't allocate memory"), "enough memory"),
        (ZeroDivisionError("a fault"), "ZeroDivisionError: a fault"),
    ],
)
def test_json_has_every_error(fault, line, manifest, capsys, monkeypatch):
    def run(command):
        raise fault

    monkeypatch.setattr("voltween.cli.split.Split.run", run)
    if isinstance(fault, ZeroDivisionError):  # of the program: its traceback, too
        with pytest.raises(ZeroDivisionError):
            split(manifest, "--json")
    else:
        assert split(manifest, "--json") == 2
    assert line in json.loads(capsys.readouterr().out)["error"]


def test_json_behind_two_dashes_is_no_option(manifest, capsys):
    assert split(manifest, "--", "--json") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "'--json' as well" in shown.err


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_json_of_a_registration_is_its_record(tmp_path, capsys):
    folder = write_pair(tmp_path)
    scans = [folder / "fixed.nii.gz", folder / "moving.nrrd", "--out", folder / "o"]
    options = ["--model", folder / "tiny.safetensors", "--refine", "none", "--json"]
    assert run_here("register", *scans, *options, "--outputs", "moved") == 0
    result = json.loads(capsys.readouterr().out)["result"]
    record = json.loads((folder / "o" / "registration.json").read_text("utf-8"))
    assert result == {"out": str(folder / "o"), **record}


def test_quiet_leaves_warnings_and_errors(manifest, capsys):
    assert split(manifest, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert split(manifest.parent / "none.csv", "--quiet") == 2
    assert "none.csv" in capsys.readouterr().err
    assert split(manifest, "--quiet", "--seed", "2") == 2  # it is there
    assert "out.csv" in capsys.readouterr().err


def test_quiet_leaves_out_what_is_less_than_a_warning(tmp_path, capsys):
    handler, path = log._Handler(), tmp_path / "run.log"
    with speaking(is_quiet=True, is_json=False), log.logging_to(path, ["voltween"]):
        for level in (logging.INFO, logging.WARNING):
            handler.emit(logging.LogRecord("a", level, "", 0, f"at {level}", (), None))
    assert capsys.readouterr() == ("", f"at {logging.WARNING}\n")
    assert f"at {logging.INFO}" in path.read_text("utf-8")


def test_quiet_and_json_together_give_json_alone(manifest, capsys):
    assert split(manifest, "--quiet", "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["error"] is None
    assert shown.err == ""


def test_a_command_after_a_quiet_one_speaks(manifest, capsys):
    assert split(manifest, "--quiet") == 0
    (manifest.parent / "out.csv").unlink()
    assert split(manifest) == 0
    assert "Wrote" in capsys.readouterr().out


def test_the_log_has_all_that_was_said(manifest):
    path = manifest.parent / "logs" / "run.log"
    assert split(manifest, "--log", path, "--quiet") == 0
    assert split(manifest, f"--log={path}", "--seed", "3") == 2
    lines = path.read_text("utf-8").splitlines()
    assert all(LINE.fullmatch(line) for line in lines)
    text = "\n".join(lines)
    assert text.count("voltween split") == 2
    assert "Wrote" in text
    assert "expected" in lines[-1], "the error"


def test_the_command_in_the_log_can_be_repeated(manifest):
    out, path = manifest.parent / "two words.csv", manifest.parent / "run.log"
    assert run_here("split", manifest, "--out", out, "--val", 0.3, "--log", path) == 0
    first = path.read_text("utf-8").splitlines()[0]
    assert shlex.split(first)[1:] == [
        *("voltween", "split", str(manifest), "--out", str(out), "--val", "0.3")
    ]


def test_warnings_are_in_log_and_json(manifest, capsys, monkeypatch):
    def run(command):
        warnings.warn("odd [bold]scan\x1b[2J", UserWarning, stacklevel=1)

    monkeypatch.setattr("voltween.cli.split.Split.run", run)
    path = manifest.parent / "run.log"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert split(manifest, "--log", path, "--json") == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["warnings"] == ["odd [bold]scan\x1b[2J"]
    assert shown.err == "voltween: warning: odd [bold]scan\\x1b[2J\n"
    assert "warning: odd [bold]scan\\x1b[2J" in path.read_text("utf-8")


@pytest.mark.parametrize("content", [b"case,image\n", b"\x1f\x8b\0\0", b"2026\n"])
def test_a_log_takes_no_place_of_another_file(manifest, content, capsys):
    other = manifest.parent / "other"
    other.write_bytes(content)
    assert split(manifest, "--log", other) == 2
    assert (
        "expected a new file, or a log that voltween wrote" in capsys.readouterr().err
    )
    assert other.read_bytes() == content


def test_a_log_is_no_input(manifest, capsys):
    copy = manifest.parent / "copy.csv"
    copy.symlink_to(manifest)
    before = manifest.read_bytes()
    assert split(manifest, "--log", copy) == 2
    assert "not an input" in capsys.readouterr().err
    assert manifest.read_bytes() == before


def test_a_log_beside_a_result_stays(tmp_path):
    folder = write_pair(tmp_path)
    scans = [folder / "fixed.nii.gz", folder / "moving.nrrd", "--out", folder / "o"]
    options = ["--model", folder / "tiny.safetensors", "--refine", "none"]
    path = folder / "o" / "run.log"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            words = [*scans, *options, "--outputs", "moved", "--log", path]
            assert run_here("register", *words) == 0
    text = path.read_text("utf-8")
    assert text.count("voltween register") == 2
    assert text.count("Verdict:") == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_no_option_of_these_names(command):
    if command == "figures":
        return
    own = {flag for p in parameters_of(kind_of(command, [])) for flag in p.flags}
    names = {name.split(", ")[-1].split()[0] for name, _ in COMMON}
    assert own & names == ({"--log"} if command == "jacobian" else set())


def test_the_log_of_jacobian_is_the_logarithm():
    options, rest = split_words("jacobian", ["t.h5", "--log", "--quiet"])
    assert options == CommonOptions(is_quiet=True)
    assert rest == ["t.h5", "--log"]


def test_words_after_a_double_dash_stay():
    options, rest = split_words("split", ["--json", "--", "--quiet"])
    assert options == CommonOptions(is_json=True)
    assert rest == ["--", "--quiet"]


def test_results_are_json_types():
    values = {"a": np.float32(0.5), "b": (np.int64(2), float("nan")), 3: {"c": None}}
    assert plain(values) == {"a": 0.5, "b": [2, None], "3": {"c": None}}


def test_an_interrupted_registration_says_what_is_kept(tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(register_command, "register_files", interrupted)
    folder = write_pair(tmp_path)
    words = [folder / "fixed.nii.gz", folder / "moving.nrrd", "--out", folder / "o"]
    with no_signals_ignored():
        assert run_here("register", *words) == 130
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"voltween: nothing was written to {folder / 'o'}",
        "voltween: interrupted",
    ]
    (folder / "o").mkdir()
    shutil.copy(folder / "fixed.nii.gz", folder / "o" / "moved.nii.gz")
    with no_signals_ignored():
        assert run_here("register", *words) == 130
    assert f"{folder / 'o'} is as it was" in capsys.readouterr().err

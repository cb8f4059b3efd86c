import csv

import pytest

from support.cohorts import write_cohort
from support.commands import run_here
from voltween.baselines import TIME_LIMIT_MINUTES, TOOLS, Tool
from voltween.cli import main
from voltween.errors import InputError
from voltween.evaluation import runner
from voltween.models import load_model
from voltween.networks import VoxelMorphConfig
from voltween.process import running


@pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
def test_compare_measures_all_methods_and_marks_what_is_missing(
    tmp_path, capsys, monkeypatch
):
    installed = running.version
    monkeypatch.setattr(
        running,
        "version",
        lambda package: None if package == "itk-elastix" else installed(package),
    )
    manifest = str(write_cohort(tmp_path, 1, 2))
    out = tmp_path / "compared"
    command = ["compare", manifest, "--methods", "identity, centres,elastix"]
    main([*command, "--out", str(out), "--max-pairs", "1"])
    with (out / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = "method fixed moving dice iou hd95_mm folding_percent seconds"
    assert set(columns.split()) <= set(rows[0])
    assert [row["method"] for row in rows] == ["identity", "centres", "elastix"]
    assert [row["status"] for row in rows] == ["ok", "ok", "unavailable"]
    assert rows[2]["dice"] == ""
    assert "pip install 'voltween[baselines]'" in (out / "summary.md").read_text(
        "utf-8"
    )
    assert float(rows[1]["dice"]) > float(rows[0]["dice"])
    for picture in ("boxplots.png", "time_accuracy.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")


def test_an_interrupt_leaves_tables_of_what_is_measured(tmp_path, monkeypatch):
    def interrupt_second(*arguments):
        if (out / "finished").exists():
            raise KeyboardInterrupt
        return measure_pair(*arguments)

    out, measure_pair = tmp_path / "out", runner.measure_pair
    monkeypatch.setattr(runner, "measure_pair", interrupt_second)
    manifest = write_cohort(tmp_path, 0, 2)
    command = ["compare", manifest, "--methods", "centres", "--out", out]
    assert run_here(*command) == 130
    with (out / "pairs.csv").open(newline="") as file:
        states = [row["status"] for row in csv.DictReader(file)]
    assert states == ["ok", "missing"]
    note = "1 of 2 measurements are missing: repeat the command to continue"
    assert note in (out / "summary.md").read_text("utf-8")
    assert "not measured yet" in (out / "index.html").read_text("utf-8")
    monkeypatch.undo()
    assert run_here(*command) == 0
    assert "missing" not in (out / "summary.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--methods", "identity,magic"], "got 'magic'"),
        (
            ["--methods", "identity,identity"],
            "--methods: expected names of different methods",
        ),
        (["--methods", "aligned:ants"], "expected --aligned DIR, a folder made by"),
        (
            ["--methods", "aligned:voxelmorph", "--aligned", "folder"],
            "expected a network trained on aligned scans",
        ),
        (
            ["--methods", "aligned:identity", "--aligned", "folder"],
            "folder: expected a folder made by `voltween align`",
        ),
        (["--methods", "model:nobody"], "nobody: expected a shipped model"),
        (
            ["--methods", "identity", "--pairs", "list"],
            "--pairs list: expected --pair-list FILE",
        ),
        (
            ["--methods", "identity", "--atlas", "case1"],
            "--atlas: expected --pairs atlas",
        ),
        (["--methods", "identity", "--split", "test"], "at least two cases"),
        (
            ["--methods", "identity", "--time-limit-minutes", "0"],
            "--time-limit-minutes: expected a positive number, got 0",
        ),
    ],
)
def test_bad_comparisons_end_in_one_line(options, message, tmp_path, capsys):
    manifest = str(write_cohort(tmp_path, 1, 2))
    with pytest.raises(SystemExit) as caught:
        main(["compare", manifest, "--out", str(tmp_path / "out"), *options])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_help_names_every_tool_and_the_time_limit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    text = capsys.readouterr().out
    assert all(f" {name}" in text for name in TOOLS)
    assert "--time-limit-minutes" in text


def test_tools_get_the_time_limit_of_the_command(tmp_path, monkeypatch):
    limits = []

    def record(tool, fixed, moving, *, time_limit_minutes):
        limits.append(time_limit_minutes)
        raise InputError(expected="no run", got="one")

    monkeypatch.setattr(Tool, "run", record)
    monkeypatch.setattr(Tool, "check_installed", lambda tool: None)
    manifest = str(write_cohort(tmp_path, 1, 2))
    command = ["compare", manifest, "--out", str(tmp_path / "out"), "--max-pairs", "1"]
    for limit in (["--time-limit-minutes", "7.5"], []):
        with pytest.raises(SystemExit) as ended:  # the pair failed
            main([*command, "--methods", "greedy", *limit])
        assert ended.value.code == 1
    assert limits == [7.5, TIME_LIMIT_MINUTES]


def test_a_comparison_of_which_no_method_can_run_here_has_an_exit_code(
    tmp_path, monkeypatch, capsys
):
    def lacks(tool):
        raise InputError(about="greedy", expected="a package", got="none")

    monkeypatch.setattr(Tool, "check_installed", lacks)
    manifest = str(write_cohort(tmp_path, 1, 2))
    command = ["compare", manifest, "--out", str(tmp_path / "out"), "--max-pairs", "1"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--methods", "greedy"])
    assert ended.value.code == 1
    assert "unavailable: greedy: expected a package" in capsys.readouterr().out
    main([*command, "--methods", "greedy,centres"])  # one could run


def test_an_experiment_runs_from_the_command_line(tmp_path, capsys):
    manifest = str(write_cohort(tmp_path, 0, 0, 2))
    table = tmp_path / "table.toml"
    table.write_text('title = "A table"\n[[row]]\nname = "no"\nmethod = "identity"\n')
    main(["experiment", str(table), manifest, "--out", str(tmp_path / "out")])
    folder = tmp_path / "out" / "small" / "table"
    assert "| no |" in (folder / "table.md").read_text("utf-8")
    assert (folder / "pairs.csv").exists()
    assert "A table" in capsys.readouterr().out


def test_compare_trains_voxelmorph_where_it_is_not_yet(tmp_path):
    pytest.importorskip("voxelmorph", reason="not installed (extra `baselines`)")
    manifest, out = str(write_cohort(tmp_path, 2, 2)), tmp_path / "compared"
    command = ["compare", manifest, "--methods", "voxelmorph", "--out", str(out)]
    for pairs in ("1", "2"):
        main([*command, "--voxelmorph-steps", "2", "--max-pairs", pairs])
        best = out / "voxelmorph" / "best.safetensors"
        written = best.stat().st_mtime_ns if pairs == "1" else written
    assert best.stat().st_mtime_ns == written
    with (out / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["ok", "ok"]
    model = load_model(best)
    assert model.network.config == VoxelMorphConfig((32, 32, 32))
    assert model.provenance["training"]["pairs_per_step"] == 4

import sys

import pytest

from support.scans import FIXED, label_blocks
from voltween import io
from voltween.cli import figures as cli_figures
from voltween.cli import main


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A scan, its labels, and what is no comparison."""
    io.write(FIXED, tmp_path / "scan.nii.gz")
    io.write(label_blocks(FIXED.grid), tmp_path / "labels.nii.gz")
    (tmp_path / "cases.csv").write_text("case,image,split\nscan,scan.nii.gz,val\n")
    return tmp_path


def error_of(capsys, *arguments):
    """Returns the line of `voltween figures` on bad input; the exit code is 2."""
    with pytest.raises(SystemExit) as caught:
        main(["figures", *map(str, arguments)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("voltween: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("kind", ["sections", "methods", "stages", "jacobian"])
def test_what_is_no_comparison_is_refused_by_all_that_show_one(kind, folder, capsys):
    command = [kind, folder, folder / "cases.csv", "--out", folder / "figure.png"]
    command += ["--method", "model:one"] if kind == "stages" else []
    assert "pairs.csv: expected a file" in error_of(capsys, *command)
    (folder / "pairs.csv").write_text("fixed,moving\nscan,scan\n")
    assert "expected pairs.csv in the folder of a finished" in error_of(
        capsys, *command
    )
    assert not (folder / "figure.png").exists()


@pytest.mark.parametrize("name", ["figure.jpg", "figure", "figure.PNG"])
def test_other_endings_are_refused_before_anything_is_read(name, tmp_path, capsys):
    command = ["curves", tmp_path / "nothing", "--out", tmp_path / name]
    assert "a name for a figure that ends in .png, .pdf" in error_of(capsys, *command)


def test_a_name_that_is_all_ending_is_written_too(tmp_path):
    (tmp_path / "log.csv").write_text("step,a\n1,2\n")
    main(["figures", "curves", str(tmp_path), "--out", str(tmp_path / ".png")])
    assert (tmp_path / ".png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_beside_what_it_shows_can_be_drawn_again(tmp_path):
    (tmp_path / "log.csv").write_text("step,a\n1,2\n")
    for _ in range(2):
        main(["figures", "curves", str(tmp_path), "--out", str(tmp_path / "c.png")])
    assert (tmp_path / "log.csv").read_text() == "step,a\n1,2\n"


def test_curves_of_no_run_are_refused(tmp_path, capsys):
    error = error_of(capsys, "curves", "--out", tmp_path / "figure.png")
    assert "figures curves: expected RUN, got none" in error


def test_a_folder_made_for_a_figure_goes_when_there_is_none(tmp_path, capsys):
    (tmp_path / "here").mkdir()
    for folder in ("new", "here"):
        out = tmp_path / folder / "er" / "figure.png"
        error_of(capsys, "curves", tmp_path / "nothing", "--out", out)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_folder_is_made_for_a_figure(tmp_path):
    (tmp_path / "log.csv").write_text("step,a\n1,2\n")
    out = tmp_path / "new" / "er" / "figure.png"
    main(["figures", "curves", str(tmp_path), "--out", str(out)])
    assert list((tmp_path / "new" / "er").iterdir()) == [out]


def tweening(folder, *options, model="hippocampus"):
    scan = folder / "scan.nii.gz"
    out = folder / "figure.png"
    return ["tweening", scan, scan, "--model", model, "--out", out, *options]


def test_without_pyvista_one_line_names_the_extra_before_any_work(
    folder, capsys, monkeypatch
):
    def worked(*_, **__):
        pytest.fail("registered, though there is nothing to render with")

    monkeypatch.setitem(sys.modules, "pyvista", None)
    monkeypatch.setattr(cli_figures, "register_by_network", worked)
    error = error_of(capsys, *tweening(folder))
    assert "pip install 'voltween[figures]'" in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fixed-labels", "labels.nii.gz"], "got not both"),
        (["--structures", "1"], "--structures: expected --fixed-labels"),
        (
            ["--fixed-labels", "nothing.nii.gz", "--moving-labels", "labels.nii.gz"],
            "nothing.nii.gz: expected a file",
        ),
    ],
)
def test_structures_need_the_labels_of_both_scans(options, message, folder, capsys):
    pytest.importorskip("pyvista", reason="not installed (extra `figures`)")
    files = [folder / word if word.endswith(".gz") else word for word in options]
    assert message in error_of(capsys, *tweening(folder, *files))


def test_structures_that_no_scan_has_and_unknown_models_are_refused(folder, capsys):
    pytest.importorskip("pyvista", reason="not installed (extra `figures`)")
    labels = folder / "labels.nii.gz"
    options = ["--fixed-labels", labels, "--moving-labels", labels]
    error = error_of(capsys, *tweening(folder, *options, "--structures", "9"))
    assert "got [9]: choose some with --structures" in error
    error = error_of(capsys, *tweening(folder, model="nobody"))
    assert "nobody: expected a shipped model" in error


@pytest.mark.parametrize(
    "arguments", [["portraits"], ["curves", "run"], ["sections", "--out", "a.png"]]
)
def test_arguments_that_are_not_understood_end_with_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["figures", *arguments])
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err

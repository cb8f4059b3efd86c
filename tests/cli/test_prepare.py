import pytest

from support.downloads import adhd200, folder
from voltween import io
from voltween.cli import main
from voltween.cohorts import DOWNLOADS
from voltween.spatial import Points


def test_recipes_are_listed_and_described(capsys):
    main(["prepare"])
    said = capsys.readouterr().out
    assert all(cohort.name in said for cohort in DOWNLOADS)
    main(["prepare", "lpba40"])
    said = capsys.readouterr().out
    assert "delineation_space/S01/S01.delineation.skullstripped.hdr" in said
    assert "loni.usc.edu" in said


def test_help_names_every_recipe(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["prepare", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert all(cohort.name in said for cohort in DOWNLOADS)


def test_the_exit_code_tells_that_some_cases_were_not_prepared(tmp_path, capsys):
    adhd200(tmp_path / "in")
    command = ["prepare", "adhd200", str(tmp_path / "in"), "--out"]
    main([*command, str(tmp_path / "all")])
    assert "4 cases (2 train, 2 val), 4 of them new" in capsys.readouterr().out
    scan = next((tmp_path / "in").rglob("*.nii.gz"))
    scan.write_bytes(scan.read_bytes()[:100])
    with pytest.raises(SystemExit) as caught:
        main([*command, str(tmp_path / "some")])
    assert caught.value.code == 1
    said = capsys.readouterr()
    assert "mprage.nii.gz: expected an image (NIfTI" in said.err
    assert "cut short or of another kind, compressed by gzip" in said.err
    assert "3 cases" in said.out


def test_own_scans_need_two_options_which_the_next_run_keeps(tmp_path, capsys):
    truth = folder(tmp_path / "in")
    for rater, shift in (("ada", 0), ("bob", 3)):
        (tmp_path / "points" / rater).mkdir(parents=True)
        at = truth["anna"][0].grid.center_mm + shift
        io.write(Points(at[None]), tmp_path / "points" / rater / "anna.csv")
    command = [
        "prepare",
        "folder",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
    ]
    points = ["--points", str(tmp_path / "points")]
    main([*command, "--region", "brain", "--exposure", "mr", *points])
    said = " ".join(capsys.readouterr().out.split())
    assert "4 cases (2 val, 2 train), 4 of them new" in said
    spread = "a rater is 2.60 mm from the mean on average, 2.60 mm at most"
    assert f"Landmarks of 1 case(s) by several raters: {spread}" in said
    main(command)
    said = " ".join(capsys.readouterr().out.split())
    assert "Kept from the last run: --region, --exposure, --points" in said
    assert "0 of them new" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "recipe: expected one of lits,"),
        (["lits", "SOURCE"], "--out: expected a folder"),
        (
            ["lits", "SOURCE", "--out", "OUT"],
            "SOURCE: expected a folder or a zip file, got nothing",
        ),
        (
            ["lits", "SOURCE", "--out", "OUT", "--val-share", "2"],
            "--val-share: expected",
        ),
        (["folder", ".", "--out", "OUT", "--exposure", "ct"], "--region: expected one"),
        (["lits", ".", "--out", "OUT", "--only", "none.txt"], "none.txt: expected a"),
    ],
)
def test_wrong_use_ends_in_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["prepare", *words])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert not (tmp_path / "OUT").exists()

import pytest

from support.downloads import adhd200
from voltween.cli import main
from voltween.cohorts import DOWNLOADS


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
    assert "mprage.nii.gz: expected a NIfTI image" in said.err
    assert "3 cases" in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "recipe: expected one of lits,"),
        (["lits", "SOURCE"], "--out: expected a folder"),
        (
            ["lits", "SOURCE", "--out", "OUT"],
            "SOURCE: expected a folder or a zip file, got nothing",
        ),
        (["lits", "SOURCE", "--out", "OUT", "--val-share", "2"], "val_share: expected"),
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

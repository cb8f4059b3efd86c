"""`voltween split` and `voltween join` on small manifests."""

import csv
from collections import Counter

import pytest

from voltween.cli import main
from voltween.cohorts import read_manifest


@pytest.fixture(name="manifest")
def manifest_fixture(tmp_path):
    """A cohort of ten subjects with two scans each."""
    (tmp_path / "lits").mkdir()
    rows = [("case", "image", "split", "subject")]
    for n in range(20):
        (tmp_path / "lits" / f"{n}.nii").touch()
        rows.append((f"case{n}", f"{n}.nii", "train", f"person{n // 2}"))
    with (tmp_path / "lits" / "cases.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return tmp_path / "lits" / "cases.csv"


def error_of(capsys, *arguments):
    """The one line that a command with bad input ends with."""
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("voltween: ")
    assert error.count("\n") == 1
    return error


def test_split_writes_a_manifest_and_counts_cases_and_subjects(
    manifest, tmp_path, capsys
):
    before = manifest.read_bytes()
    out = tmp_path / "new" / "split.csv"
    command = ["split", str(manifest), "--out", str(out), "--val", "0.2"]
    command += ["--test", "0.3", "--seed", "4"]
    main(command)
    words = capsys.readouterr().out.split()
    for row in (("train", "10", "5"), ("val", "4", "2"), ("test", "6", "3")):
        place = words.index(row[0])
        assert tuple(w for w in words[place : place + 8] if w not in "│|")[:3] == row
    cases = read_manifest(out)
    assert Counter(c.split for c in cases) == {"train": 10, "val": 4, "test": 6}
    assert [c.image.resolve().name for c in cases] == [f"{n}.nii" for n in range(20)]
    assert manifest.read_bytes() == before
    written = out.stat().st_mtime_ns
    main(command)  # the same division: nothing to do
    assert out.stat().st_mtime_ns == written


def test_split_changes_no_file_that_exists(manifest, tmp_path, capsys):
    command = ["split", manifest, "--test", "0.3", "--val", "0.2", "--out"]
    assert "same file as the input" in error_of(capsys, *command, manifest)
    (tmp_path / "link.csv").symlink_to(manifest)
    error = error_of(capsys, *command, tmp_path / "link.csv")
    assert "same file as the input" in error
    (tmp_path / "other.csv").write_text("mine")
    error = error_of(capsys, *command, tmp_path / "other.csv")
    assert "expected a new file, or the same manifest, got another file" in error
    assert (tmp_path / "other.csv").read_text("utf-8") == "mine"
    assert "ends in .csv" in error_of(capsys, *command, tmp_path / "folder")
    (tmp_path / "dir.csv").mkdir()
    assert "got a folder" in error_of(capsys, *command, tmp_path / "dir.csv")


def test_split_takes_the_test_set_from_val(manifest, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"
    main(["split", str(manifest), "--val", "0.2", "--out", str(first)])
    chosen = {c.name for c in read_manifest(first) if c.split == "val"}
    options = ["--val", "0.25", "--test-from", "val", "--out", str(second)]
    main(["split", str(first), *options])
    cases = read_manifest(second)
    assert {c.name for c in cases if c.split == "test"} == chosen
    assert Counter(c.split for c in cases) == {"train": 12, "val": 4, "test": 4}


def test_split_names_the_manifest_in_errors(manifest, tmp_path, capsys):
    out = tmp_path / "new" / "split.csv"
    error = error_of(capsys, "split", manifest, "--test", "0.95", "--out", out)
    assert f"{manifest}: shares of val and test: expected a sum below 1" in error
    assert not out.parent.exists()


def test_join_writes_one_manifest_and_counts_the_cohorts(manifest, tmp_path, capsys):
    (tmp_path / "bfh").mkdir()
    (tmp_path / "bfh" / "0.nii").touch()
    other = tmp_path / "bfh" / "cases.csv"
    other.write_text("case,image,split\ncase0,0.nii,test\n")
    command = ["join", str(manifest), str(other), "--out", str(tmp_path / "both")]
    main(command)
    said = capsys.readouterr().out
    assert "lits" in said
    assert "20" in said
    cases = read_manifest(tmp_path / "both" / "cases.csv")
    assert Counter((c.cohort, c.split) for c in cases) == {
        ("lits", "train"): 20,
        ("bfh", "test"): 1,
    }
    assert cases[0].name == "lits-case0"
    assert cases[0].subject == "lits-person0"
    assert (cases[-1].name, cases[-1].subject) == ("bfh-case0", "")
    main(command)
    other.write_text("case,image,split\ncase0,0.nii,val\n")
    assert "got another file" in error_of(capsys, *command)


def test_join_of_one_manifest_is_refused(manifest, tmp_path, capsys):
    error = error_of(capsys, "join", manifest, "--out", tmp_path / "both")
    assert "manifests: expected at least two to join, got 1" in error
    assert not (tmp_path / "both").exists()

"""Manifests joined to one: cohorts, names, subjects, files."""

import pytest

from voltween.cohorts import (
    Case,
    join_manifests,
    read_manifest,
    write_manifest,
    write_new_manifest,
)
from voltween.errors import InputError


def write(folder, *rows):
    """A manifest of rows (name, subject, cohort) in a folder; returns its path."""
    folder.mkdir(parents=True)
    for name, *_ in rows:
        (folder / f"{name}.nii").write_text(f"{folder.name} {name}")
    cases = [
        Case(name, folder / f"{name}.nii", None, None, "train", *groups)
        for name, *groups in rows
    ]
    write_manifest(cases, folder / "cases.csv")
    return folder / "cases.csv"


def test_cases_get_the_cohort_and_subjects_are_told_apart(tmp_path):
    paths = [
        write(tmp_path / "lits", ("a", "1"), ("b", "lits-2"), ("c", "")),
        write(tmp_path / "sliver", ("d", "1", "SLIVER07"), ("e", "")),
    ]
    joined = join_manifests(paths)
    assert [(c.name, c.subject, c.cohort) for c in joined] == [
        ("a", "lits-1", "lits"),
        ("b", "lits-2", "lits"),
        ("c", "", "lits"),
        ("d", "SLIVER07-1", "SLIVER07"),
        ("e", "", "sliver"),
    ]


def test_names_that_occur_twice_carry_the_cohort_and_others_do_not(tmp_path):
    paths = [
        write(tmp_path / "lits", ("1", ""), ("2", "")),
        write(tmp_path / "bfh", ("2", ""), ("3", "")),
    ]
    names = [case.name for case in join_manifests(paths)]
    assert names == ["1", "lits-2", "bfh-2", "3"]


def test_files_stay_where_they_are(tmp_path, monkeypatch):
    write(tmp_path / "a" / "lits", ("1", ""))
    write(tmp_path / "bfh", ("1", ""))
    monkeypatch.chdir(tmp_path)
    joined = join_manifests([*tmp_path.rglob("cases.csv")])
    for folder in (tmp_path / "both", tmp_path / "deeper" / "both"):
        write_new_manifest(joined, folder / "cases.csv")
        read = read_manifest(folder / "cases.csv")
        assert {case.image.read_text("utf-8") for case in read} == {"lits 1", "bfh 1"}
        assert {p.name for p in folder.iterdir()} == {"cases.csv"}
        assert str(tmp_path) not in (folder / "cases.csv").read_text("utf-8")


def test_joined_manifests_can_be_joined_with_more(tmp_path):
    paths = [write(tmp_path / name, ("1", "x")) for name in ("a", "b", "c")]
    write_new_manifest(join_manifests(paths[:2]), tmp_path / "ab" / "cases.csv")
    joined = join_manifests([tmp_path / "ab" / "cases.csv", paths[2]])
    assert [(c.name, c.subject, c.cohort) for c in joined] == [
        ("a-1", "a-x", "a"),
        ("b-1", "b-x", "b"),
        ("1", "c-x", "c"),
    ]


def test_a_manifest_in_the_working_folder_has_that_folders_name(tmp_path, monkeypatch):
    write(tmp_path / "lits", ("1", ""))
    other = write(tmp_path / "bfh", ("2", ""))
    monkeypatch.chdir(tmp_path / "lits")
    joined = join_manifests([tmp_path.joinpath("lits/../lits/cases.csv"), other])
    assert [case.cohort for case in joined] == ["lits", "bfh"]


def test_one_manifest_and_equal_cohorts_are_refused(tmp_path):
    one = write(tmp_path / "a" / "lits", ("1", ""))
    same = write(tmp_path / "b" / "lits", ("2", ""))
    for paths in ([], [one]):
        with pytest.raises(InputError, match="at least two to join"):
            join_manifests(paths)
    for paths in ([one, same], [one, one]):
        with pytest.raises(InputError, match=r"got lits, as in .*a/lits/cases\.csv"):
            join_manifests(paths)
    named = write(tmp_path / "c", ("3", "", "lits"), ("4", ""))
    with pytest.raises(InputError, match="another name in the column cohort"):
        join_manifests([one, named])


def test_names_that_the_cohort_does_not_tell_apart_are_refused(tmp_path):
    one = write(tmp_path / "a", ("1", ""), ("b-1", ""))
    other = write(tmp_path / "b", ("1", ""))
    with pytest.raises(InputError, match="got b-1 twice"):
        join_manifests([one, other])

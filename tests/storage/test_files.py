"""Files and folders appear whole or not at all, whatever ends the writer."""

import errno
import os
from pathlib import Path

import pytest

from support.writing import (
    DISK_FULL,
    BrokenError,
    fail_as_disk_full,
    fail_while_writing,
    kill_while_writing,
    names_in,
)
from voltween.errors import InputError, OutputError, VoltweenError
from voltween.storage import (
    check_free_space,
    check_suffix,
    existing_file,
    file_name,
    folder_of,
    named,
    naming,
    output_folder,
    scratch_file,
    whole_file,
)


@pytest.fixture(name="target")
def target_fixture(tmp_path):
    return tmp_path / "file.txt"


class TestWholeFile:
    def test_a_file_appears_with_its_whole_text(self, target):
        with whole_file(target) as partial:
            partial.write_text("new")
            assert not target.exists()
        assert target.read_text("utf-8") == "new"
        assert names_in(target.parent) == ["file.txt"]

    def test_a_former_file_stays_until_the_new_one_is_whole(self, target):
        target.write_text("old")
        with whole_file(target) as partial:
            partial.write_text("new")
            assert target.read_text("utf-8") == "old"
        assert target.read_text("utf-8") == "new"

    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("former", [None, "old"])
    def test_an_exception_in_the_block_changes_nothing(self, target, former, error):
        if former:
            target.write_text(former)
        before = names_in(target.parent)
        with pytest.raises(error):
            fail_while_writing(whole_file(target), error)
        assert names_in(target.parent) == before
        assert not former or target.read_text("utf-8") == former

    def test_a_killed_writer_leaves_the_former_file(self, target):
        target.write_text("old")
        block = (
            "with whole_file(target) as partial:",
            "    partial.write_text('half')",
        )
        kill_while_writing(target, *block)
        assert target.read_text("utf-8") == "old"
        hidden = [name for name in names_in(target.parent) if name != "file.txt"]
        assert all(name.startswith(".") for name in hidden)

    def test_a_full_disk_is_an_output_error_that_names_the_file(self, target):
        target.write_text("old")
        with pytest.raises(OutputError, match="No space left on device") as caught:
            fail_while_writing(whole_file(target), DISK_FULL)
        assert caught.value.about == str(target)
        assert not isinstance(caught.value, InputError)
        assert target.read_text("utf-8") == "old"
        assert names_in(target.parent) == ["file.txt"]

    def test_a_disk_that_is_full_at_the_end_is_the_same(self, target, monkeypatch):
        monkeypatch.setattr(os, "replace", fail_as_disk_full)
        with pytest.raises(OutputError, match="No space left"), whole_file(target):
            pass
        assert names_in(target.parent) == []

    def test_the_failure_of_another_library_is_an_output_error(self, target):
        with pytest.raises(OutputError, match="is the disk full") as caught:
            fail_while_writing(whole_file(target), RuntimeError("ITK ERROR"))
        assert caught.value.about == str(target)

    def test_a_folder_of_that_name_stays(self, target):
        target.mkdir()
        (target / "inside").touch()
        with pytest.raises(OutputError, match="Is a directory"), whole_file(target):
            pass
        assert names_in(target.parent) == ["file.txt"]
        assert names_in(target) == ["inside"]

    def test_a_missing_folder_is_named(self, tmp_path):
        target = tmp_path / "missing" / "file.txt"
        with pytest.raises(OutputError, match="No such file") as caught:
            whole_file(target).__enter__()
        assert caught.value.about == str(target)


class TestOutputFolder:
    def test_it_is_made_with_its_parents_and_left_empty(self, tmp_path):
        folder = output_folder(tmp_path / "a" / "b")
        assert names_in(folder) == []

    def test_a_file_in_the_way_is_named(self, target):
        target.touch()
        with pytest.raises(OutputError, match="can be made") as caught:
            output_folder(target / "inside")
        assert caught.value.about == str(target / "inside")

    def test_a_folder_without_permission_is_refused(self, tmp_path, monkeypatch):
        def denied(*arguments, **options):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "touch", denied)  # root may write everywhere
        with pytest.raises(OutputError, match="Permission denied"):
            output_folder(tmp_path)


class TestFolderOf:
    def test_folders_stay_if_all_went_well(self, tmp_path):
        target = tmp_path / "a" / "b" / "file.txt"
        with folder_of(target):
            target.write_text("new")
        assert target.read_text("utf-8") == "new"

    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
    def test_the_folders_it_made_go_if_the_block_fails(self, tmp_path, error):
        (tmp_path / "former").mkdir()
        with pytest.raises(error), folder_of(tmp_path / "former/a/b/file.txt"):
            raise error
        assert names_in(tmp_path) == ["former"]
        assert names_in(tmp_path / "former") == []

    def test_folders_that_others_use_meanwhile_stay(self, tmp_path):
        context = folder_of(tmp_path / "a/b/file.txt")
        context.__enter__()
        (tmp_path / "a" / "other.txt").touch()
        assert not context.__exit__(BrokenError, BrokenError(), None)
        assert names_in(tmp_path / "a") == ["other.txt"]


def test_scratch_files_are_deleted_even_after_an_exception(target):
    with pytest.raises(BrokenError):
        fail_while_writing(scratch_file(target), BrokenError)
    assert not target.exists()
    with scratch_file(target):
        pass  # nothing was written, which is no error


def test_free_space_is_checked_before_writing(target):
    check_free_space(target, 1)
    with pytest.raises(OutputError, match=r"1000000000000\.0 MB of free space"):
        check_free_space(target, 10**18)


def test_existing_files_are_files(target):
    with pytest.raises(InputError, match="got none of this name") as caught:
        existing_file(target)
    assert caught.value.about == str(target)
    target.touch()
    assert existing_file(target) == target
    with pytest.raises(InputError, match="got a folder"):
        existing_file(target.parent)


def test_suffixes_are_checked(target):
    check_suffix(target, (".csv", ".txt"), "a table")
    with pytest.raises(InputError, match=r"a table that ends in \.csv, \.tsv"):
        check_suffix(target, (".csv", ".tsv"), "a table")


def test_naming_puts_the_file_before_an_input_error_alone():
    with pytest.raises(InputError) as caught, naming("scan.nii"):
        raise InputError(about="label 7", expected="voxels", got="none")
    assert str(caught.value) == "scan.nii: label 7: expected voxels, got none"
    with pytest.raises(VoltweenError) as caught, naming("scan.nii"):
        raise OutputError(about="out", expected="space", got="none")
    assert caught.value.about == "out"


def test_texts_of_warnings_have_the_names_of_errors():
    with naming("fixed"):
        with naming("channel 1"):
            assert named("looks odd") == "fixed: channel 1: looks odd"
        with pytest.raises(InputError), naming("channel 2"):
            raise InputError(expected="voxels", got="none")
        assert named("looks odd") == "fixed: looks odd"
    assert named("looks odd") == "looks odd"


@pytest.mark.parametrize("text", ["plain", "a-b_c.d+1"])
def test_texts_that_can_be_file_names_are_them(text):
    assert file_name(text) == text


def test_other_texts_become_different_names_of_their_letters():
    texts = ["a/b", "a:b", "../a", ".hidden", "a b", "x" * 50 + "/" + "y" * 50]
    names = [file_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert file_name("a/b").startswith("a_b-")
    for name in names:
        assert not set(name) & set("/: ")
        assert not name.startswith(".")
        assert len(name) <= 70


def write_what_does_not_fit(path):
    with whole_file(path) as partial:
        partial.write_text("half")
        check_free_space(path, 10**18)


def test_an_output_error_inside_a_whole_file_is_said_once(target):
    with pytest.raises(OutputError, match="MB of free space") as caught:
        write_what_does_not_fit(target)
    assert str(caught.value).count("expected") == 1
    assert list(target.parent.iterdir()) == []

"""Files and folders appear whole or not at all, whatever ends the writer."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from voltween import files
from voltween.errors import InputError, OutputError, VoltweenError
from voltween.files import (
    check_free_space,
    check_suffix,
    existing_file,
    file_name,
    folder_of,
    naming,
    output_folder,
    scratch_file,
    whole_file,
    whole_folder,
)
from voltween.inputs import reading

LINES = (
    "import os, signal, sys",
    "sys.path.insert(0, {source!r})",
    "from pathlib import Path",
    "from voltween.files import whole_file, whole_folder",
    "target = Path({target!r})",
)
SOURCE = str(Path(files.__file__).parents[1])


class BrokenError(Exception):
    """Any error of the code that writes."""


DISK_FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_as_disk_full(*arguments, **options):
    raise DISK_FULL


def fail_while_writing(context, error, *names):
    """Write a file, or the files of a folder, and raise in the middle of it."""
    with context as partial:
        for path in [partial / name for name in names] or [partial]:
            path.write_text("half")
        raise error


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def kill_while_writing(target, *block):
    """Run the block in a process that is killed in the middle of it."""
    lines = [line.format(source=SOURCE, target=str(target)) for line in LINES]
    end = "    os.kill(os.getpid(), signal.SIGKILL)"
    code = "\n".join([*lines, *block, end])
    process = subprocess.run([sys.executable, "-c", code], check=False)
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(name="target")
def target_fixture(tmp_path):
    return tmp_path / "file.txt"


class TestWholeFile:
    def test_a_file_appears_with_its_whole_text(self, target):
        with whole_file(target) as partial:
            partial.write_text("new")
            assert not target.exists()
        assert target.read_text() == "new"
        assert names_in(target.parent) == ["file.txt"]

    def test_a_former_file_stays_until_the_new_one_is_whole(self, target):
        target.write_text("old")
        with whole_file(target) as partial:
            partial.write_text("new")
            assert target.read_text() == "old"
        assert target.read_text() == "new"

    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt, SystemExit])
    @pytest.mark.parametrize("former", [None, "old"])
    def test_an_exception_in_the_block_changes_nothing(self, target, former, error):
        if former:
            target.write_text(former)
        before = names_in(target.parent)
        with pytest.raises(error):
            fail_while_writing(whole_file(target), error)
        assert names_in(target.parent) == before
        assert not former or target.read_text() == former

    def test_a_killed_writer_leaves_the_former_file(self, target):
        target.write_text("old")
        block = (
            "with whole_file(target) as partial:",
            "    partial.write_text('half')",
        )
        kill_while_writing(target, *block)
        assert target.read_text() == "old"
        hidden = [name for name in names_in(target.parent) if name != "file.txt"]
        assert all(name.startswith(".") for name in hidden)

    def test_a_full_disk_is_an_output_error_that_names_the_file(self, target):
        target.write_text("old")
        with pytest.raises(OutputError, match="No space left on device") as caught:
            fail_while_writing(whole_file(target), DISK_FULL)
        assert caught.value.about == str(target)
        assert not isinstance(caught.value, InputError)
        assert target.read_text() == "old"
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


def result_in(folder):
    """The folder of a result of files a, b and c, of which every result has c."""
    return whole_folder(folder, names={"a", "b", "c"}, last="c")


def write_result(folder, text, names="abc"):
    with result_in(folder) as partial:
        for name in names:
            (partial / name).write_text(text)


class TestWholeFolder:
    def test_files_appear_together_at_the_end(self, tmp_path):
        target = tmp_path / "out"
        with result_in(target) as partial:
            for name in "abc":
                (partial / name).write_text(name)
                assert not (target / name).exists()
        assert names_in(target) == ["a", "b", "c"]

    def test_an_earlier_result_is_replaced_whole_and_other_files_stay(self, tmp_path):
        write_result(tmp_path, "old")
        (tmp_path / "kept").write_text("kept")
        write_result(tmp_path, "new", "ac")
        assert names_in(tmp_path) == ["a", "c", "kept"]
        assert [(tmp_path / name).read_text() for name in "ac"] == ["new", "new"]
        assert (tmp_path / "kept").read_text() == "kept"

    def test_files_that_are_not_of_a_result_are_never_replaced(self, tmp_path):
        (tmp_path / "b").write_text("mine")
        with pytest.raises(OutputError, match=r"which has c, got .* that has b"):
            write_result(tmp_path, "new", "ac")
        assert names_in(tmp_path) == ["b"]
        assert (tmp_path / "b").read_text() == "mine"

    def test_inputs_are_never_replaced_or_deleted(self, tmp_path):
        write_result(tmp_path, "old")
        for name in "ab":
            refused = pytest.raises(InputError, match=r"same file as the input .*mine")
            (tmp_path / "mine").symlink_to(tmp_path / name)
            with reading([tmp_path / "mine"]), refused:
                write_result(tmp_path, "new", "ac")
            (tmp_path / "mine").unlink()
        assert [(tmp_path / name).read_text() for name in "abc"] == ["old"] * 3

    @pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
    def test_a_new_folder_goes_if_the_block_fails(self, tmp_path, error):
        target = tmp_path / "out"
        with pytest.raises(error):
            fail_while_writing(result_in(target), error, "a")
        assert names_in(tmp_path) == []

    def test_a_former_result_stays_as_it_was_if_the_block_fails(self, tmp_path):
        write_result(tmp_path, "old")
        with pytest.raises(BrokenError):
            fail_while_writing(result_in(tmp_path), BrokenError, "a", "b")
        assert names_in(tmp_path) == ["a", "b", "c"]
        assert (tmp_path / "a").read_text() == "old"

    def test_a_killed_writer_leaves_the_former_files(self, tmp_path):
        write_result(tmp_path, "old", "ac")
        block = (
            "with whole_folder(target, names='ac', last='c') as partial:",
            "    (partial / 'a').write_text('new')",
        )
        kill_while_writing(tmp_path, *block)
        assert (tmp_path / "a").read_text() == "old"
        hidden = [name for name in names_in(tmp_path) if name not in "ac"]
        assert all(name.startswith(".") for name in hidden)

    @pytest.mark.parametrize("moves", [0, 1, 2])
    def test_a_result_that_is_cut_off_is_no_result_and_no_mixture(
        self, tmp_path, monkeypatch, moves
    ):
        write_result(tmp_path, "old")
        replace, moved = os.replace, []

        def stop(source, target):
            if not target.name.startswith("."):  # which only tries the folder
                if len(moved) == moves:
                    raise DISK_FULL
                moved.append(target)
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", stop)
            with pytest.raises(OutputError):
                write_result(tmp_path, "new", "ac" if moves < 2 else "abc")
        visible = [name for name in names_in(tmp_path) if not name.startswith(".")]
        assert visible == ["a", "b"][:moves]  # without c, and nothing of the old one
        write_result(tmp_path, "newer", "c")
        assert names_in(tmp_path) == ["c"]

    def test_folders_in_the_way_are_named_and_nothing_is_replaced(self, tmp_path):
        write_result(tmp_path, "old", "ac")
        (tmp_path / "b").mkdir()
        with pytest.raises(OutputError, match=r"same names, \['b'\]") as caught:
            result_in(tmp_path).__enter__()
        assert caught.value.about == str(tmp_path)
        assert (tmp_path / "a").read_text() == "old"
        assert names_in(tmp_path) == ["a", "b", "c"]

    def test_a_full_disk_is_an_output_error_that_names_the_folder(self, tmp_path):
        target = tmp_path / "out"
        with pytest.raises(OutputError, match="No space left") as caught:
            fail_while_writing(result_in(target), DISK_FULL, "a")
        assert caught.value.about == str(target)
        assert names_in(tmp_path) == []

    def test_errors_name_the_file_where_the_user_looks_for_it(self, tmp_path):
        target = tmp_path / "out"
        with pytest.raises(OutputError) as caught, result_in(target) as partial:
            fail_while_writing(whole_file(partial / "a.txt"), DISK_FULL)
        assert caught.value.about == str(target / "a.txt")

    def test_a_file_of_that_name_is_refused(self, target):
        target.write_text("old")
        with pytest.raises(OutputError, match="a folder that can be made"):
            result_in(target).__enter__()
        assert target.read_text() == "old"


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
        assert target.read_text() == "new"

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

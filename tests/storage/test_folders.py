"""A folder of a result is replaced as a whole, whatever ends the writer."""

import ctypes
import os
import sys

import pytest

from support.writing import (
    DISK_FULL,
    BrokenError,
    fail_while_writing,
    kill_while_writing,
    names_in,
)
from voltween.errors import InputError, OutputError
from voltween.storage import folders, reading, whole_file, whole_folder


@pytest.fixture(name="target")
def target_fixture(tmp_path):
    return tmp_path / "file.txt"


def result_in(folder):
    """The folder of a result of files a, b and c, of which every result has c."""
    return whole_folder(folder, names={"a", "b", "c"}, last="c")


def write_result(folder, text, names="abc"):
    with result_in(folder) as partial:
        for name in names:
            (partial / name).write_text(text)


def test_files_appear_together_at_the_end(tmp_path):
    target = tmp_path / "out"
    with result_in(target) as partial:
        for name in "abc":
            (partial / name).write_text(name)
            assert not (target / name).exists()
    assert names_in(target) == ["a", "b", "c"]


def test_an_earlier_result_is_replaced_whole_and_other_files_stay(tmp_path):
    write_result(tmp_path, "old")
    (tmp_path / "kept").write_text("kept")
    write_result(tmp_path, "new", "ac")
    assert names_in(tmp_path) == ["a", "c", "kept"]
    assert [(tmp_path / name).read_text("utf-8") for name in "ac"] == ["new", "new"]
    assert (tmp_path / "kept").read_text("utf-8") == "kept"


def test_files_that_are_not_of_a_result_are_never_replaced(tmp_path):
    (tmp_path / "b").write_text("mine")
    with pytest.raises(OutputError, match=r"which has c, got .* that has b"):
        write_result(tmp_path, "new", "ac")
    assert names_in(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text("utf-8") == "mine"


def test_inputs_are_never_replaced_or_deleted(tmp_path):
    write_result(tmp_path, "old")
    for name in "ab":
        refused = pytest.raises(InputError, match=r"same file as the input .*mine")
        (tmp_path / "mine").symlink_to(tmp_path / name)
        with reading([tmp_path / "mine"]), refused:
            write_result(tmp_path, "new", "ac")
        (tmp_path / "mine").unlink()
    assert [(tmp_path / name).read_text("utf-8") for name in "abc"] == ["old"] * 3


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
def test_a_new_folder_goes_if_the_block_fails(tmp_path, error):
    target = tmp_path / "out"
    with pytest.raises(error):
        fail_while_writing(result_in(target), error, "a")
    assert names_in(tmp_path) == []


def test_a_former_result_stays_as_it_was_if_the_block_fails(tmp_path):
    write_result(tmp_path, "old")
    with pytest.raises(BrokenError):
        fail_while_writing(result_in(tmp_path), BrokenError, "a", "b")
    assert names_in(tmp_path) == ["a", "b", "c"]
    assert (tmp_path / "a").read_text("utf-8") == "old"


def test_a_killed_writer_leaves_the_former_files(tmp_path):
    write_result(tmp_path, "old", "ac")
    block = (
        "with whole_folder(target, names='ac', last='c') as partial:",
        "    (partial / 'a').write_text('new')",
    )
    kill_while_writing(tmp_path, *block)
    assert (tmp_path / "a").read_text("utf-8") == "old"
    hidden = [name for name in names_in(tmp_path) if name not in "ac"]
    assert all(name.startswith(".") for name in hidden)


@pytest.mark.parametrize("moves", [0, 1, 2])
def test_a_result_that_is_cut_off_is_no_result_and_no_mixture(
    tmp_path, monkeypatch, moves
):
    monkeypatch.chdir(tmp_path)  # no other folder can take the place of this one
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


def test_folders_in_the_way_are_named_and_nothing_is_replaced(tmp_path):
    write_result(tmp_path, "old", "ac")
    (tmp_path / "b").mkdir()
    with pytest.raises(OutputError, match=r"same names, \['b'\]") as caught:
        result_in(tmp_path).__enter__()
    assert caught.value.about == str(tmp_path)
    assert (tmp_path / "a").read_text("utf-8") == "old"
    assert names_in(tmp_path) == ["a", "b", "c"]


def test_a_full_disk_is_an_output_error_that_names_the_folder(tmp_path):
    target = tmp_path / "out"
    with pytest.raises(OutputError, match="No space left") as caught:
        fail_while_writing(result_in(target), DISK_FULL, "a")
    assert caught.value.about == str(target)
    assert names_in(tmp_path) == []


def test_errors_name_the_file_where_the_user_looks_for_it(tmp_path):
    target = tmp_path / "out"
    with pytest.raises(OutputError) as caught, result_in(target) as partial:
        fail_while_writing(whole_file(partial / "a.txt"), DISK_FULL)
    assert caught.value.about == str(target / "a.txt")


def test_a_file_of_that_name_is_refused(target):
    target.write_text("old")
    with pytest.raises(OutputError, match="a folder that can be made"):
        result_in(target).__enter__()
    assert target.read_text("utf-8") == "old"


KILLED_AT_THE_SWAP = (
    "from voltween.storage import folders",
    "exchange = folders._exchange",
    "def die(one, other):",
    "    {first}",
    "    os.kill(os.getpid(), signal.SIGKILL)",
    "folders._exchange = die",
    "with whole_folder(target, names='abc', last='c') as partial:",
    "    [(partial / name).write_text('new') for name in 'ac']",
    "if True:",
)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@on_linux
@pytest.mark.parametrize(
    ("first", "left"), [("pass", "old"), ("exchange(one, other)", "new")]
)
def test_a_process_killed_at_the_swap_leaves_one_result_or_the_other(
    tmp_path, first, left
):
    target = tmp_path / "out"
    write_result(target, "old")
    (target / "kept").write_text("kept")
    kill_while_writing(
        target, *(line.replace("{first}", first) for line in KILLED_AT_THE_SWAP)
    )
    names = ["a", "b", "c"] if left == "old" else ["a", "c"]
    assert names_in(target) == [*names, "kept"]
    assert {(target / name).read_text("utf-8") for name in names} == {left}
    assert len(names_in(tmp_path)) == 2  # and what the killed process has left
    write_result(target, "newer", "c")
    assert names_in(tmp_path) == ["out"]
    assert names_in(target) == ["c", "kept"]


def test_other_files_of_the_folder_stay_the_same_files(tmp_path):
    target = tmp_path / "out"
    write_result(target, "old")
    (target / "link").symlink_to("nowhere")
    target.chmod(0o750)
    with (target / "log").open("w") as log:  # as `voltween register > out/log` has
        write_result(target, "new", "c")
        log.write("end")
    assert (target / "log").read_text("utf-8") == "end"
    assert os.readlink(target / "link") == "nowhere"
    assert names_in(target) == ["c", "link", "log"]
    assert target.stat().st_mode & 0o777 == 0o750


def test_folders_in_it_and_what_is_put_there_meanwhile_stay(tmp_path):
    target = tmp_path / "out"
    for text in ("old", "new"):
        with result_in(target) as partial:
            (partial / "c").write_text(text)
            if text == "new":
                (target / "notes").mkdir()
                (target / "notes" / "mine").write_text("mine")
    assert (target / "c").read_text("utf-8") == "new"
    assert (target / "notes" / "mine").read_text("utf-8") == "mine"
    assert names_in(tmp_path) == ["out"]


def test_a_folder_reached_by_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for text in ("old", "new"):
        write_result(tmp_path / "link", text, "c")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "c").read_text("utf-8") == "new"


def test_the_working_folder_stays_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    write_result(".", "new", "c")
    assert tmp_path.stat().st_ino == before
    assert names_in(tmp_path) == ["c"]


class _MacOs:
    """The system's library of macOS, by that of Linux."""

    def __init__(self, system):
        self._system = system

    def renamex_np(self, one, other, how):
        return self._system.renameat2(-100, one, -100, other, how)


@on_linux
def test_macos_exchanges_folders_by_another_name(tmp_path, monkeypatch):
    system = _MacOs(ctypes.CDLL(None))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: system)
    monkeypatch.setattr(folders, "_replace_files", None)
    target = tmp_path / "out"
    write_result(target, "old")
    write_result(target, "new", names="c")
    assert (target / "c").read_text("utf-8") == "new"
    assert names_in(target) == ["c"]


@pytest.mark.parametrize("fault", [TypeError, None])
def test_a_system_that_exchanges_no_folders_has_its_files_replaced(
    tmp_path, monkeypatch, fault
):
    def load(name):
        if fault:
            raise fault  # as on Windows
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    target = tmp_path / "out"
    write_result(target, "old")
    write_result(target, "new", names="c")
    assert (target / "c").read_text("utf-8") == "new"
    assert names_in(target) == ["c"]

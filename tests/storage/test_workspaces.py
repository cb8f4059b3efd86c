"""Unfinished files of killed processes go; those of living ones stay."""

import os
import time

import pytest

from support.windows import locks_of_windows
from support.writing import DISK_FULL, BrokenError, kill_while_writing, names_in
from voltween.storage import whole_file, workspaces
from voltween.storage.workspaces import PREFIX, flush, publish, sweep, workspace

KILLED = ("with whole_file(target) as partial:", "    partial.write_text('half')")


def fail_in(place):
    with workspace(place) as folder:
        (folder / "half").touch()
        raise BrokenError


def test_it_goes_at_the_end_however_that_comes(tmp_path):
    with workspace(tmp_path) as folder:
        assert names_in(folder) == []
        assert folder.parent.name.startswith(PREFIX)
        assert folder.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(BrokenError):
        fail_in(tmp_path)
    assert names_in(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    kill_while_writing(tmp_path / "scan.nii.gz", *KILLED)
    assert len(names_in(tmp_path)) == 1
    with whole_file(tmp_path / "other.txt"):
        pass
    assert names_in(tmp_path) == ["other.txt"]


def test_nothing_else_goes(tmp_path):
    (tmp_path / f"{PREFIX}notes").mkdir()  # without a lock: not ours, or just made
    (tmp_path / f"{PREFIX}file").touch()
    (tmp_path / ".hidden").mkdir()
    before = names_in(tmp_path)
    with workspace(tmp_path) as living:
        (living / "half").touch()
        sweep(tmp_path)
        assert (living / "half").exists()
    assert names_in(tmp_path) == before


def test_where_files_cannot_be_locked_nothing_is_swept(tmp_path, monkeypatch):
    def refuse(path):
        path.touch()
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr(workspaces, "lock", refuse)
    with workspace(tmp_path) as living:
        assert names_in(living) == []
        monkeypatch.undo()
        sweep(tmp_path)
        assert living.exists()
    assert names_in(tmp_path) == []


def test_windows_sweeps_too(tmp_path, monkeypatch):
    kill_while_writing(tmp_path / "scan.nii.gz", *KILLED)
    locks_of_windows(monkeypatch)
    with workspace(tmp_path) as folder:
        sweep(tmp_path)
        assert names_in(tmp_path) == [folder.parent.name]
    assert names_in(tmp_path) == []


def test_a_workspace_swept_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    locks = [FileNotFoundError(2, "swept"), BlockingIOError(11, "being swept")]

    def lock(path):
        if locks:
            raise locks.pop()
        return real(path)

    real = workspaces.lock
    monkeypatch.setattr(workspaces, "lock", lock)
    with workspace(tmp_path) as folder:
        assert folder.exists()
    assert not locks


def test_the_workspaces_of_other_hosts_are_left_alone_for_a_day(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(workspaces.platform, "node", lambda: "else/where")
        folder, descriptor = workspaces._make(tmp_path)
    os.close(descriptor)  # it has died, or its host does not tell of its locks
    assert folder.name.startswith(f"{PREFIX}else_where-{os.getpid()}-")
    sweep(tmp_path)
    assert folder.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(folder / "lock", (yesterday, yesterday))
    sweep(tmp_path)
    assert names_in(tmp_path) == []


def test_a_file_is_on_the_disk_before_it_is_in_its_place(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(workspaces, "flush", flushed.append)
    (tmp_path / "partial").touch()
    publish(tmp_path / "partial", tmp_path / "file")
    assert flushed == [tmp_path / "partial", tmp_path]
    assert names_in(tmp_path) == ["file"]


def test_a_disk_that_fails_to_keep_a_file_is_told_and_a_folder_is_not(
    tmp_path, monkeypatch
):
    def fail(descriptor):
        raise DISK_FULL

    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "fsync", fail)
    flush(tmp_path)
    with pytest.raises(OSError, match="No space"):
        flush(tmp_path / "file")

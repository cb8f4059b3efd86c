"""One process at a time in a folder; a lock dies with its process."""

import errno
import os
import platform
import signal
import threading
import time

import pytest

from support.processes import finish, start
from support.windows import locks_of_windows
from voltween.errors import InputError, TakeoverWarning
from voltween.storage import locks
from voltween.storage.locks import alone_in, lock, unlock, waiting_for

HOLDING = """
import time
from pathlib import Path
from voltween.storage import alone_in
with alone_in(Path({folder!r}), work="training"):
    print("in", flush=True)
    time.sleep(60)
"""


@pytest.fixture(name="holder")
def holder_fixture(tmp_path):
    """A process that holds the folder."""
    process = start(code=HOLDING.format(folder=str(tmp_path)))
    assert process.stdout.readline() == b"in\n"
    yield process
    process.kill()
    finish(process)


def enter(folder):
    with alone_in(folder, work="training"):
        return True


def test_a_second_process_is_refused_and_told_who_is_in(tmp_path, holder):
    with pytest.raises(InputError, match="without another training") as caught:
        enter(tmp_path)
    assert caught.value.about == str(tmp_path)
    who = rf"process {holder.pid} of {platform.node()} since 20"
    assert who in str(caught.value)


def test_the_lock_of_a_killed_process_is_told_and_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with pytest.warns(TakeoverWarning, match=f"process {holder.pid} .* has ended"):
        assert enter(tmp_path)
    assert enter(tmp_path)  # nothing is left to tell
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(name="elsewhere")
def elsewhere_fixture(tmp_path, monkeypatch):
    """The lock of a process of another host, which this host's locks do not show."""
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.3)
    path = tmp_path / ".in-use.json"
    path.write_text('{"host": "elsewhere", "process": 5, "since": "2026"}')
    return path


def test_the_lock_of_a_living_process_of_another_host_is_respected(
    tmp_path, elsewhere, monkeypatch
):
    monkeypatch.setattr(locks, "_BEAT_SECONDS", 0.02)
    with (
        locks._beating(elsewhere),
        pytest.raises(InputError, match="one in use by process 5 of elsewhere"),
    ):
        enter(tmp_path)
    assert "elsewhere" in elsewhere.read_text("utf-8")


def test_the_lock_of_a_dead_process_of_another_host_is_taken_over(tmp_path, elsewhere):
    with pytest.warns(TakeoverWarning, match="process 5 of elsewhere .* has ended"):
        assert enter(tmp_path)
    assert not elsewhere.exists()


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_BEAT_SECONDS", 0.02)
    with alone_in(tmp_path, work="training"):
        (path,) = tmp_path.iterdir()
        before = path.stat().st_mtime_ns
        time.sleep(0.5)
        assert path.stat().st_mtime_ns > before


def test_a_folder_that_cannot_be_locked_is_used_with_a_warning(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(locks, "_lock_open", refuse)
    with pytest.warns(TakeoverWarning, match="cannot be locked"):
        assert enter(tmp_path)


def test_a_lock_file_that_was_replaced_meanwhile_is_no_lock(tmp_path, monkeypatch):
    path, answers = tmp_path / "lock", [False, True]
    monkeypatch.setattr(locks, "_is_at", lambda *_: answers.pop(0))
    os.close(lock(path))
    assert not answers


def test_those_who_wait_for_a_lock_get_it_one_after_another(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(5):
            with waiting_for(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 15
    assert list(tmp_path.iterdir()) == []


def test_windows_locks_too(tmp_path, monkeypatch):
    locks_of_windows(monkeypatch)
    with alone_in(tmp_path, work="training"):
        with pytest.raises(InputError, match=f"in use by process {os.getpid()} of"):
            enter(tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert enter(tmp_path)


def test_a_lock_that_another_has_opened_meanwhile_stays_on_windows(
    tmp_path, monkeypatch
):
    locks_of_windows(monkeypatch)
    path = tmp_path / "lock"
    one = lock(path)
    two = os.open(path, os.O_RDWR)
    unlock(one, path)
    assert path.exists()
    os.close(two)

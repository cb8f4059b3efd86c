"""Files are written by a thread: all of them, or the error as if there were none."""

import threading
import time
from contextvars import ContextVar

import pytest

from support.scans import FIXED, tiny_model
from voltween.errors import InputError, OutputError
from voltween.io import write
from voltween.registration import outputs, register, write_registration
from voltween.registration.writing_behind import writing_behind
from voltween.storage import reading

SECONDS = 10


def test_files_are_written_in_their_order_while_the_block_goes_on(tmp_path):
    written, go_on = [], threading.Event()

    def wait_and_write(content, path):
        assert go_on.wait(SECONDS)
        written.append(content)

    with writing_behind() as writer:
        for number in range(3):
            writer.write(wait_and_write, number, tmp_path)
        assert written == []  # and yet the block has come so far
        go_on.set()
    assert written == [0, 1, 2]


def fail(content, path):
    raise OutputError(about=path, expected="space", got="none")


def test_the_error_of_a_file_ends_the_block_and_later_files_are_left_out(tmp_path):
    deadline = time.monotonic() + SECONDS

    def go_on_writing():
        with writing_behind() as writer:
            writer.write(fail, "one", tmp_path)
            while time.monotonic() < deadline:
                writer.write(lambda content, path: None, "two", tmp_path)

    with pytest.raises(OutputError, match="expected space"):
        go_on_writing()
    assert time.monotonic() < deadline


def test_the_error_of_the_last_file_is_raised_at_the_end(tmp_path):
    with pytest.raises(OutputError), writing_behind() as writer:
        writer.write(fail, "one", tmp_path)


def test_after_an_interrupt_nothing_is_written_any_more(tmp_path):
    written, is_writing = [], threading.Event()

    def write_slowly(content, path):
        is_writing.set()
        time.sleep(0.05)
        written.append(content)

    def interrupted():
        with writing_behind() as writer:
            writer.write(write_slowly, "one", tmp_path)
            writer.write(write_slowly, "two", tmp_path)
            is_writing.wait(SECONDS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written == ["one"]
    assert not [t for t in threading.enumerate() if t.name.startswith("writer")]


def test_the_thread_knows_the_inputs_of_the_command(tmp_path):
    path = write(FIXED, tmp_path / "scan.nii.gz")
    before = path.read_bytes()
    with (
        reading([path]),
        pytest.raises(InputError, match="not an input as well"),
        writing_behind() as writer,
    ):
        writer.write(write, FIXED, path)
    assert path.read_bytes() == before


def test_the_context_of_every_file_is_its_own(tmp_path):
    value, seen = ContextVar("value", default=0), []
    with writing_behind() as writer:
        for number in (1, 2):
            value.set(number)
            writer.write(lambda *_: seen.append(value.get()), None, tmp_path)
    assert seen == [1, 2]


@pytest.mark.parametrize("name", ["moved", "report"])
def test_a_result_of_which_a_file_cannot_be_written_is_not_there(
    name, tmp_path, monkeypatch
):
    def disk_is_full(content, path):
        raise OSError(28, "No space left on device")

    broken = outputs.OUTPUTS[name].__class__(
        **{**vars(outputs.OUTPUTS[name]), "write": disk_is_full}
    )
    monkeypatch.setitem(outputs.OUTPUTS, name, broken)
    result = register(FIXED, FIXED, model=tiny_model(strength=0.1), refinement=None)
    with pytest.raises(OutputError, match="No space left on device"):
        write_registration(result, tmp_path / "out", outputs=("moved", "report"))
    assert list(tmp_path.iterdir()) == []

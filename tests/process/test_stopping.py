"""Signals end a command with one line and the exit code of a shell."""

import os
import signal

import pytest

from support.processes import finish, no_signals_ignored, start
from voltween.process.stopping import (
    Stopped,
    deferring_signals,
    starting_deaf_processes,
    stopping_at_signals,
)

ENDINGS = [
    (signal.SIGINT, 130, "voltween: interrupted\n"),
    (signal.SIGTERM, 143, "voltween: terminated\n"),
    (signal.SIGHUP, 129, "voltween: the terminal was closed\n"),
]
SLEEPING = """
import time
from voltween.process import stopping_at_signals
with stopping_at_signals(ends_process=True):
    print("ready", flush=True)
    {work}
"""
SECONDS = 10
"""Sleep of a process that does not heed its signal, after which the test fails."""


@pytest.fixture(autouse=True)
def no_signals_ignored_fixture():
    """Lets the tests receive all signals, also if their parent switched some off."""
    with no_signals_ignored():
        yield


def raise_signal(number, error=None):
    """Receive a signal as a command does; a library may turn it into another error."""
    with stopping_at_signals(ends_process=False):
        try:
            signal.raise_signal(number)
        except Stopped:
            if error:
                raise error from None
            raise


@pytest.mark.parametrize(("number", "code", "line"), ENDINGS)
def test_a_signal_is_one_line_and_a_code(number, code, line, capsys):
    with pytest.raises(SystemExit) as caught:
        raise_signal(number)
    assert caught.value.code == code
    assert capsys.readouterr().err == line


def test_an_interrupt_that_a_library_turns_into_its_error_is_one_still(capsys):
    with pytest.raises(SystemExit) as caught:
        raise_signal(signal.SIGINT, ImportError("C extensions failed"))
    assert caught.value.code == 130
    assert capsys.readouterr().err == "voltween: interrupted\n"


def work(done, *numbers, error=None):
    """Receive signals within work that comes to a stop of its own, and note its end."""
    with stopping_at_signals(ends_process=False), deferring_signals() as stop:
        assert not stop.is_asked
        for number in numbers:
            signal.raise_signal(number)
            done.append(stop.is_asked)
        if error:
            raise error


class TestDeferral:
    """Signals that take effect at the end of a step."""

    @pytest.mark.parametrize(("number", "code", "line"), ENDINGS)
    def test_a_signal_ends_the_block_at_its_end(self, number, code, line, capsys):
        done = []
        with pytest.raises(SystemExit) as caught:
            work(done, number)
        assert done == [True]
        assert caught.value.code == code
        first, second = capsys.readouterr().err.splitlines(keepends=True)
        assert first == "voltween: ends after this step; a second time, at once\n"
        assert second == line

    def test_a_second_signal_ends_it_at_once(self):
        done = []
        with pytest.raises(SystemExit) as caught:
            work(done, signal.SIGINT, signal.SIGTERM)
        assert done == [True]
        assert caught.value.code in (130, 143)

    def test_without_a_signal_nothing_is_left(self):
        former = [signal.getsignal(number) for number, *_ in ENDINGS]
        work([])
        assert [signal.getsignal(number) for number, *_ in ENDINGS] == former

    def test_work_that_hears_of_a_signal_elsewhere_ends_too(self):
        with pytest.raises(Stopped), deferring_signals() as stop:
            stop.is_asked = True

    def test_a_signal_outweighs_an_error_that_it_causes(self):
        with pytest.raises(SystemExit) as caught:
            work([], signal.SIGTERM, error=ValueError("a worker has died"))
        assert caught.value.code == 143


def test_errors_without_a_signal_pass():
    with pytest.raises(ValueError, match="mine"):
        fail_without_signal()


def fail_without_signal():
    with stopping_at_signals(ends_process=False):
        raise ValueError("mine")


def test_former_handlers_return():
    former = signal.getsignal(signal.SIGINT)
    with stopping_at_signals(ends_process=False):
        assert signal.getsignal(signal.SIGINT) is not former
    assert signal.getsignal(signal.SIGINT) is former


def test_signals_that_are_switched_off_stay_so():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_at_signals(ends_process=False):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize(
    "work",
    [
        f"time.sleep({SECONDS})",
        # Python drops exceptions of callbacks; imports have such callbacks.
        "import weakref\n    class Thing: pass\n    thing = Thing()\n"
        f"    held = weakref.ref(thing, lambda _: time.sleep({SECONDS}))\n"
        f"    del thing\n    time.sleep({SECONDS})",
    ],
)
@pytest.mark.parametrize(("number", "code", "line"), ENDINGS[:2])
def test_a_process_ends_wherever_the_signal_meets_it(work, number, code, line):
    process = start(code=SLEEPING.format(work=work))
    assert process.stdout.readline() == b"ready\n"
    os.killpg(process.pid, number)
    assert finish(process, 3 * SECONDS) == (code, "", line)


def test_processes_started_deaf_do_not_hear_an_interrupt():
    with starting_deaf_processes():
        child = start(code="print('ready', flush=True); import time; time.sleep(0.3)")
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGINT)
    assert finish(child)[0] == 0
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])

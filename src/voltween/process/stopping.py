"""Ends a command at a signal: tidily, with one line and the exit code of a shell.

Everything that is open is closed as after an error: partial files go, states and former
results stay, the cursor is shown again.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

_ENDINGS = {
    "SIGINT": "interrupted",  # Ctrl-C
    "SIGTERM": "terminated",  # Slurm, Docker, `kill`
    "SIGHUP": "the terminal was closed",
}
_SHOW_CURSOR = "\x1b[?25h"
_AGAIN_SECONDS = 0.01

Stop = Callable[[int, FrameType | None], None]


class Stopped(KeyboardInterrupt):
    """Raised in the main thread by a signal that ends the command."""


@contextmanager
def stopping_at_signals(*, ends_process: bool) -> Iterator[None]:
    """Turns an interrupt, termination or hang-up within the block into an exit.

    The exit code is 128 and the number of the signal. Signals that the parent process
    has switched off, as `nohup` does, stay so. If the block ends the process, a signal
    after the block ends it at once and without a word.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise Stopped

    former = _handlers()
    try:
        _install(dict.fromkeys(former, stop))
        with _raising_again(stop):
            yield
    except BaseException as error:  # libraries turn an interrupt into other errors
        if isinstance(error, SystemExit) or not (received or _is_interrupt(error)):
            raise
        _install(dict.fromkeys(former, signal.SIG_IGN))  # the rest takes no time
        number = received[0] if received else signal.SIGINT
        _say_ending(number)
        sys.exit(128 + number)
    finally:
        _install(dict.fromkeys(former, signal.SIG_DFL) if ends_process else former)


class Deferral:
    """Whether work that goes on to its next stop is asked to end there."""

    is_asked = False
    """Set by a signal; or by the work itself, if it hears of a signal elsewhere."""


@contextmanager
def deferring_signals() -> Iterator[Deferral]:
    """Lets the block come to a stop of its own after a signal that ends the command.

    The first signal only sets `is_asked`; it takes effect at the end of the block. A
    second one takes effect at once. Outside the main thread nothing is deferred.

    Raises:
        Stopped: If the work has set `is_asked` itself.
    """
    deferral = Deferral()
    former = _handlers()
    asked: list[int] = []

    def defer(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        deferral.is_asked = True
        _install(former)
        _say_deferral()

    try:
        _install(dict.fromkeys(former, defer))
        yield deferral
    finally:
        _install(former)
        if asked:
            signal.raise_signal(asked[0])
    if deferral.is_asked:
        raise Stopped


@contextmanager
def starting_deaf_processes() -> Iterator[None]:
    """Lets processes that the block starts never hear of an interrupt (Ctrl-C).

    A terminal sends it to them as well. Their parent ends them; on their own they would
    end with a traceback each.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:  # the parent hears an interrupt now that came meanwhile
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _is_interrupt(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt)


def _handlers() -> dict[int, object]:
    """Handlers of the signals that end a command, without those switched off."""
    numbers = [getattr(signal, name) for name in _ENDINGS if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {n: h for n, h in handlers.items() if h not in (signal.SIG_IGN, None)}


def _install(handlers: Mapping[int, object]) -> None:
    with suppress(ValueError):  # not the main thread, which alone receives signals
        for number, handler in handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


@contextmanager
def _raising_again(stop: Stop) -> Iterator[None]:
    """Raises an interrupt again that Python had to drop, a moment later.

    Exceptions in callbacks, such as those of imports, go nowhere.
    """
    former = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if not issubclass(dropped.exc_type, Stopped):
            former(dropped)
        elif hasattr(signal, "setitimer"):
            again = signal.SIGINT
            signal.signal(signal.SIGALRM, lambda number, frame: stop(again, frame))
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = former


def _say_deferral() -> None:
    """Says in one line that the command goes on for a moment."""
    # A terminal that is gone, or a line that was being written at this moment.
    with suppress(OSError, ValueError, RuntimeError):
        if os.environ.get("LOCAL_RANK", "0") == "0":
            text = "voltween: ends after this step; a second time, at once"
            print(text, file=sys.stderr)


def _say_ending(number: int) -> None:
    """Says in one line what ended the command, and shows the cursor."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        if sys.stdout.isatty():
            sys.stdout.write(_SHOW_CURSOR)
            sys.stdout.flush()
        if os.environ.get("LOCAL_RANK", "0") == "0":  # one of several processes
            print(f"voltween: {_ENDINGS[signal.Signals(number).name]}", file=sys.stderr)

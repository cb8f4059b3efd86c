"""Prepares a process for a command, before the command line is imported, and ends it.

Imports take tenths of a second; an interrupt (Ctrl-C) meanwhile would be a traceback.
It ends the process instead, until `stopping` takes over. What this module imports has
been loaded already: `signal` itself takes milliseconds.
"""

import _signal as signal  # type: ignore[import-not-found]
import os

_ERRORS = 2  # file descriptor of the error stream
_is_paused = False
_is_finished = False


def heed_interrupts() -> None:
    """Lets an interrupt end the process at once, with one line and exit code 130.

    One that the parent process has switched off, as `nohup` does, stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def let_threads_sleep() -> None:
    """Has threads sleep while they wait for one another, unless told otherwise.

    By default, they wait busily. Where programs share the cores, that takes the time of
    the very thread that is waited for: of three registrations at once on two cores,
    each took up to 34 s instead of 5. On a quiet machine, it makes no difference.
    OpenMP reads this when PyTorch is imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pause_collector() -> None:
    """Stops Python's search for unused cycles of objects until `resume_collector`.

    Imports make a million objects and hardly any cycle, and the search would look at
    all of them again and again: 0.3 of the 2.6 processor seconds of all imports.
    """
    import gc  # a part of Python itself

    global _is_paused
    _is_paused = gc.isenabled()
    gc.disable()


def resume_collector() -> None:
    """Lets the search go on, if it was paused, and leave out what there is by now."""
    import gc

    global _is_paused
    if _is_paused:
        gc.freeze()
        gc.enable()
    _is_paused = False


def plan_quick_end() -> None:
    """Lets the process end without taking its objects apart, if `finish` was called.

    Taking apart PyTorch's and our modules takes 0.2 processor seconds, after which the
    system frees the memory anyway. Python still waits for threads and calls what other
    modules have registered for its end: what is registered first is called last.
    """
    import atexit  # a part of Python itself

    atexit.register(_end_quickly)


def finish() -> None:
    """States that the command has succeeded and that all its files are closed."""
    global _is_finished
    _is_finished = True


def _end_quickly() -> None:
    import sys

    if not _is_finished:
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # nobody reads it, or it is closed: Python says so
        return
    os._exit(0)


def _end(number: int, frame: object) -> None:
    os.write(_ERRORS, b"voltween: interrupted\n")
    os._exit(128 + number)

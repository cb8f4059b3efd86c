"""Ends the process at an interrupt (Ctrl-C) before the command line is imported.

Imports take tenths of a second; an interrupt meanwhile would be a traceback. What this
module imports has been loaded already: `signal` itself takes milliseconds. `stopping`
takes over when the rest is there.
"""

import _signal as signal  # type: ignore[import-not-found]
import os

_ERRORS = 2  # file descriptor of the error stream


def heed_interrupts() -> None:
    """Lets an interrupt end the process at once, with one line and exit code 130.

    One that the parent process has switched off, as `nohup` does, stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: object) -> None:
    os.write(_ERRORS, b"voltween: interrupted\n")
    os._exit(128 + number)

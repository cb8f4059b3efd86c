"""One line on the files that an interrupted command leaves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voltween.cli.invocation import out_of

KEPT = "what is finished is kept: repeat the command to continue"
"""What is left of a command that goes on when it is repeated."""

# Commands that say it themselves, as they know how far they are.
_SAY_IT = frozenset({"cohort", "prepare", "align", "evaluate", "compare", "train"})


@contextmanager
def saying_what_is_kept(name: str, command: Any) -> Iterator[None]:
    """After an interrupt within the block, says what has become of the output.

    A command that keeps more than its output has a text about it as `left`.
    """
    out = out_of(command)
    before = _stamp(out)
    try:
        yield
    except KeyboardInterrupt:
        if name not in _SAY_IT and out is not None:
            left = getattr(command, "left", None)
            _say(left or _state_of(out, is_same=_stamp(out) == before))
        raise


def _state_of(out: Path, *, is_same: bool) -> str:
    if not is_same:
        return f"{out} has what was finished before"
    return f"{out} is as it was" if out.exists() else f"nothing was written to {out}"


def _say(left: str) -> None:
    from voltween.cli.console import error_console

    error_console.print(f"voltween: {left}")


def _stamp(out: Path | None) -> tuple[int, int] | None:
    """Number and time, which change when a file is written, comes or goes."""
    if out is None:
        return None
    try:
        status = out.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns

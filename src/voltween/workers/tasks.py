"""A task, its outcome, and the call that turns one into the other."""

import errno
import os
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from voltween.errors import OutputError, VoltweenError, reporting_memory_shortage
from voltween.workers.threads import limited_threads

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # full, over quota, read-only


@dataclass(frozen=True)
class Task:
    """The arguments of one call, with a name that no other task of the run has."""

    name: str
    arguments: tuple[Any, ...]
    """They can be pickled: names and paths rather than scans."""


@dataclass(frozen=True)
class Outcome:
    """The end of one task."""

    name: str
    error: str | None = None
    """One line that says why it failed; None if it is done."""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    """Texts of the warnings of a task that ran in another process."""


def perform(function: Callable[..., object], task: Task, threads: int) -> Outcome:
    """Calls the function on the arguments of the task, with so many threads.

    Raises:
        OutputError: If its result cannot be written, which other tasks would meet too.
        OSError: If the disk is full or read-only.
    """
    start = time.perf_counter()
    error = None
    try:
        with limited_threads(threads), reporting_memory_shortage():
            function(*task.arguments)
    except Exception as fault:  # tools raise all kinds
        if isinstance(fault, OutputError) or getattr(fault, "errno", None) in _DISK:
            raise
        error = _one_line(fault)
    return Outcome(task.name, error, time.perf_counter() - start)


def perform_elsewhere(
    function: Callable[..., object], task: Task, threads: int, folder: str
) -> Outcome:
    """The same in a worker process, whose warnings come back with the outcome.

    It works in the folder of the driver, from which paths may be relative.
    """
    with suppress(OSError):  # not on this machine: errors name the paths
        os.chdir(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        outcome = perform(function, task, threads)
    texts = dict.fromkeys(
        str(warning.message) for warning in caught if _is_ours(warning)
    )
    return Outcome(outcome.name, outcome.error, outcome.seconds, tuple(texts))


def _is_ours(warning: warnings.WarningMessage) -> bool:
    """Whether a warning is for the user, and not for the developers of a library."""
    return issubclass(warning.category, UserWarning)


def _one_line(error: Exception) -> str:
    """The first line of an error; its kind is named where the text says too little."""
    lines = str(error).splitlines() or [""]
    kind = "" if isinstance(error, VoltweenError) else f"{type(error).__name__}: "
    return f"{kind}{lines[0]}"

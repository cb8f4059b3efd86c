"""What this process has used: clocks and memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")  # Linux: it is the kernel that keeps the mark


@dataclass
class Used:
    """What a piece of work took."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    """Summed over threads."""
    peak_bytes: int | None = None
    """Most memory that the process held meanwhile; None off Linux."""
    loading_seconds: float = 0.0
    """To load what does the work, which is not in the seconds."""


@contextmanager
def measuring() -> Iterator[Used]:
    """Measure what happens inside; the result is filled in at the end."""
    used = Used()
    begin_peak()
    start, processor_start = time.perf_counter(), time.process_time()
    yield used
    used.seconds = time.perf_counter() - start
    used.processor_seconds = time.process_time() - processor_start
    used.peak_bytes = peak_bytes()


def begin_peak() -> None:
    """Start the high-water mark of the process's memory afresh.

    Where the kernel refuses, the mark stands, and what is read is an upper bound.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int | None:
    """Most bytes held since `begin_peak`; None off Linux."""
    return _status_bytes("VmHWM")


def held_bytes() -> int | None:
    """Bytes held now; None off Linux."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith(f"{name}:")).split()[1]
    return int(kilobytes) * 1024

"""The running process: its clocks and memory, and the packages it can import."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voltween.errors import MissingPackageError

_STATUS = Path("/proc/self/status")  # Linux: the kernel keeps the high-water mark
_MOST_THREADS = 1024


@dataclass
class Used:
    """The resources that a piece of work used."""

    seconds: float = 0.0
    processor_seconds: float = 0.0
    """Summed over threads."""
    peak_bytes: int | None = None
    """Peak memory of the process meanwhile; None on systems other than Linux."""
    loading_seconds: float = 0.0
    """Time to load the tool that does the work; not part of `seconds`."""


@contextmanager
def measuring() -> Iterator[Used]:
    """Measures the block; the yielded result is filled in at its end.

    A GPU works on after a call has returned. Its queue is waited for before and after
    the block, so that the block's own work counts, and no other.
    """
    used = Used()
    _wait_for_gpu()
    begin_peak()
    start, processor_start = time.perf_counter(), time.process_time()
    yield used
    _wait_for_gpu()
    used.seconds = time.perf_counter() - start
    used.processor_seconds = time.process_time() - processor_start
    used.peak_bytes = peak_bytes()


def _wait_for_gpu() -> None:
    """Waits until the GPU has done its work, if PyTorch has used one."""
    torch = sys.modules.get("torch")  # who has not imported it has used none
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def begin_peak() -> None:
    """Resets the high-water mark of the process's memory.

    If the kernel refuses, the old mark stays and `peak_bytes` is an upper bound.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak_bytes() -> int | None:
    """Peak memory since `begin_peak`, in bytes; None on systems other than Linux."""
    return _status_bytes("VmHWM")


def held_bytes() -> int | None:
    """Memory of the process now, in bytes; None on systems other than Linux."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text("utf-8").splitlines()
    kilobytes = next(line for line in lines if line.startswith(f"{name}:")).split()[1]
    return int(kilobytes) * 1024


def machine_bytes() -> int | None:
    """Memory of the machine, in bytes; None where it cannot be asked."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def free_bytes() -> int | None:
    """Memory that programs can still get, in bytes; None except on Linux."""
    path = Path("/proc/meminfo")
    if not path.exists():
        return None
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def usable_cores() -> int:
    """The number of threads for one piece of work.

    That of the environment variable OMP_NUM_THREADS, else of the cores that the process
    may use.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if wanted.isdecimal() and int(wanted) > 0:
        return min(int(wanted), _MOST_THREADS)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed_version(package: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def require(package: str, *, extra: str, purpose: str) -> str:
    """Version of an optional package that the purpose needs.

    Raises:
        MissingPackageError: If it is not installed; the advice names the extra.
    """
    found = installed_version(package)
    if found is None:
        raise missing_package(package, extra=extra, purpose=purpose)
    return found


def missing_package(package: str, *, extra: str, purpose: str) -> MissingPackageError:
    """The error that an optional package is missing; the advice names the extra."""
    return MissingPackageError(
        about=purpose,
        expected=f"the {package} package",
        got="none installed",
        advice=f"pip install 'voltween[{extra}]'",
    )

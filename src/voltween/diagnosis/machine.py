"""The machine that this process runs on."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from voltween.ops import instruction_set
from voltween.process import installed_version, machine_bytes

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# Instruction sets that determine the speed of these operations, in Linux's spelling.
_RELEVANT_FLAGS = (
    *("avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_bf16", "asimd", "sve", "sve2", "bf16", "i8mm"),
)


@dataclass(frozen=True)
class Machine:
    """Description of the machine, to be given with every measured figure."""

    processor: str
    cores: int
    """Cores this process may use."""
    threads: int
    """Threads PyTorch uses inside an operation."""
    memory_bytes: int | None
    """None where it cannot be asked."""
    caches: tuple[str, ...]
    instruction_sets: tuple[str, ...]
    used_instruction_set: str
    """Instruction set of the operations for which none is chosen by measurement."""
    load: float | None
    """Mean number of waiting and running processes in the minute before the run; None
    where it cannot be asked."""
    system: str
    python: str
    torch: str
    voltween: str


def describe_machine() -> Machine:
    """Returns the description of this machine."""
    return Machine(
        processor=_cpu_field("model name") or platform.processor() or "unknown",
        cores=_cores(),
        threads=torch.get_num_threads(),
        memory_bytes=machine_bytes(),
        caches=tuple(_caches()),
        instruction_sets=_instruction_sets(),
        used_instruction_set=instruction_set(),
        load=_load(),
        system=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        voltween=installed_version("voltween") or "unknown",
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows, and some containers
        return None


def _cpu_field(name: str) -> str:
    """First value of a field of /proc/cpuinfo; empty if there is none."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    values = [line.partition(":")[2] for line in lines if line.startswith(name)]
    return values[0].strip() if values else ""


def _instruction_sets() -> tuple[str, ...]:
    present = (_cpu_field("flags") or _cpu_field("Features")).split()
    return tuple(flag for flag in _RELEVANT_FLAGS if flag in present)


def _caches() -> Iterator[str]:
    """Yields the first core's caches, such as 'L2 512K'; nothing except on Linux.

    Virtual machines may leave sizes out.
    """
    for folder in sorted(_CACHES.glob("index*")):
        try:
            level, kind, size = (
                (folder / name).read_text("utf-8").strip()
                for name in ("level", "type", "size")
            )
        except OSError:
            continue
        if kind != "Instruction":
            yield f"L{level} {size}"

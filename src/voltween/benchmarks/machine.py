"""The machine that the benchmarks run on, and its measured limits."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import conv3d

from voltween.benchmarks.timing import Repetitions, Work, alternate
from voltween.networks import has_fast_bf16
from voltween.ops import instruction_set
from voltween.process import installed_version, machine_bytes

# Instruction sets that determine the speed of these operations, in Linux's spelling.
_RELEVANT_FLAGS = (
    *("avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512_vnni", "avx512_bf16"),
    *("amx_tile", "amx_bf16", "asimd", "sve", "sve2", "bf16", "i8mm"),
)


@dataclass(frozen=True)
class Machine:
    """Description of the machine, without which no figure can be read."""

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
    """The one of those operations that are not chosen by measurement."""
    load: float
    """Mean number of waiting and running processes in the minute before the run."""
    system: str
    python: str
    torch: str
    voltween: str


@dataclass(frozen=True)
class Limits:
    """Best of many measurements: upper bounds for every operation of the package."""

    copy_bytes_per_second: float
    """Copying 256 MB: bytes read plus bytes written."""
    product_flops: float
    """float32 matrix product, operations per second."""
    convolution_flops: float
    """float32 3^3 convolution, 64 to 64 channels on 32^3 voxels."""
    bf16_product_flops: float | None
    """bfloat16 matrix product; None if the processor has no fast one."""

    @property
    def flops(self) -> float:
        """The larger of the two float32 figures, operations per second."""
        return max(self.product_flops, self.convolution_flops)


def describe_machine() -> Machine:
    """Returns the description of this machine."""
    return Machine(
        processor=_cpu_field("model name") or platform.processor() or "unknown",
        cores=_usable_cores(),
        threads=torch.get_num_threads(),
        memory_bytes=machine_bytes(),
        caches=tuple(_caches()),
        instruction_sets=_instruction_sets(),
        used_instruction_set=instruction_set(),
        load=os.getloadavg()[0],
        system=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        voltween=installed_version("voltween") or "unknown",
    )


def measure_limits(repetitions: Repetitions) -> Limits:
    """Measures memory bandwidth and arithmetic with the current number of threads."""
    elements, side = 64 * 1024 * 1024, 1536
    source, target = torch.ones(elements), torch.zeros(elements)
    contenders: dict[str, Work] = {
        "copy": lambda: target.copy_(source),
        "product": _product(side, torch.float32),
        "convolution": _convolution(),
    }
    if has_fast_bf16():
        contenders["bf16"] = _product(side, torch.bfloat16)
    best = {
        name: timing.minimum
        for name, timing in alternate(contenders, repetitions).items()
    }
    return Limits(
        copy_bytes_per_second=2 * 4 * elements / best["copy"],
        product_flops=2 * side**3 / best["product"],
        convolution_flops=2 * 27 * 64 * 64 * 32**3 / best["convolution"],
        bf16_product_flops=2 * side**3 / best["bf16"] if "bf16" in best else None,
    )


def _product(side: int, dtype: torch.dtype) -> Work:
    left, right = torch.ones(2, side, side, dtype=dtype)
    return lambda: left @ right


def _convolution() -> Work:
    features, kernel = torch.ones(1, 64, 32, 32, 32), torch.ones(64, 64, 3, 3, 3)

    def work() -> object:
        with torch.inference_mode():
            return conv3d(features, kernel, padding=1)

    return work


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
    """Yields the first core's caches, such as 'L2 512K'; nothing except on Linux."""
    folders = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")
    for folder in sorted(folders):
        level, kind, size = (
            (folder / name).read_text("utf-8").strip()
            for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            yield f"L{level} {size}"

"""Peak memory of a workload, each in a fresh process.

The high-water mark of a process cannot be trusted after other work has run in it.
Linux only: it is the kernel that keeps the mark.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch

from voltween.benchmarks.workloads import Workload

# glibc keeps freed tensors for later ones, so that the peak would depend on what the
# process did before. With a fixed threshold every larger block goes back at once.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144"}
_STATUS = Path("/proc/self/status")


def peak_bytes(workload: Workload) -> int | None:
    """Bytes one call needs at most, beyond what exists before it; None off Linux.

    Before the call there are inputs and weights, in training also gradients and the
    optimiser's state.
    """
    if not _STATUS.exists():
        return None
    task = json.dumps(asdict(workload) | {"threads": torch.get_num_threads()})
    command = [sys.executable, "-m", "voltween.benchmarks.memory", task]
    child = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | _ALLOCATOR,
    )
    return int(child.stdout.splitlines()[-1])


def _peak_bytes_here(workload: Workload) -> int:
    work = workload.prepare()
    # Preparing may have needed more than the call will: start the mark afresh. Where
    # the kernel refuses, the mark of the preparation stands as a lower bound.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = _status_bytes("VmRSS")
    work()
    return _status_bytes("VmHWM") - before


def _status_bytes(name: str) -> int:
    lines = _STATUS.read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith(f"{name}:")).split()[1]
    return int(kilobytes) * 1024


def _main() -> None:
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task.pop("threads"))
    print(_peak_bytes_here(Workload(**task)))


if __name__ == "__main__":
    _main()

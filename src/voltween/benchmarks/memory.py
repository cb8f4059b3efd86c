"""Peak memory of a workload, measured in a new process.

The high-water mark of a process is unreliable after other work has run in it. Linux
only, because the kernel keeps the mark.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import torch

from voltween.benchmarks.workloads import Workload
from voltween.process import begin_peak, held_bytes
from voltween.process import peak_bytes as process_peak_bytes

_PROGRAM = "from voltween.benchmarks.memory import main; main()"
# glibc keeps freed tensors for later ones, so the peak would depend on earlier work of
# the process. With a fixed threshold, every larger block is returned at once.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144"}


def peak_bytes(workload: Workload) -> int | None:
    """Peak bytes of one call, beyond those held before; None except on Linux.

    Inputs and weights are held before the call, and in training also gradients and the
    optimizer's state.
    """
    if held_bytes() is None:
        return None
    task = json.dumps(asdict(workload) | {"threads": torch.get_num_threads()})
    command = [sys.executable, "-c", _PROGRAM, task]
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
    begin_peak()  # preparation may have needed more than the call
    before = held_bytes()
    work()
    peak = process_peak_bytes()
    assert before is not None
    assert peak is not None
    return peak - before


def main() -> None:
    """Prints the peak bytes of the workload that the first argument describes."""
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task.pop("threads"))
    print(_peak_bytes_here(Workload(**task)))

"""Peak memory of a workload, each in a fresh process.

The high-water mark of a process cannot be trusted after other work has run in it.
Linux only: it is the kernel that keeps the mark.
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

# glibc keeps freed tensors for later ones, so that the peak would depend on what the
# process did before. With a fixed threshold every larger block goes back at once.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "262144"}


def peak_bytes(workload: Workload) -> int | None:
    """Bytes one call needs at most, beyond what exists before it; None off Linux.

    Before the call there are inputs and weights, in training also gradients and the
    optimizer's state.
    """
    if held_bytes() is None:
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
    begin_peak()  # preparing may have needed more than the call will
    before = held_bytes()
    work()
    peak = process_peak_bytes()
    assert before is not None
    assert peak is not None
    return peak - before


def _main() -> None:
    task = json.loads(sys.argv[1])
    torch.set_num_threads(task.pop("threads"))
    print(_peak_bytes_here(Workload(**task)))


if __name__ == "__main__":
    _main()

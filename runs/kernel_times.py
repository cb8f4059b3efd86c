"""Processor time of warps with every instruction set, and with the chosen ones.

The contenders take turns on one thread; the shortest time of each counts. Processor
time leaves out what other processes on the machine take.

    python runs/kernel_times.py [SIDE [ROUNDS]]
"""

import sys
import time

import torch

from voltween.benchmarks import naive
from voltween.benchmarks.markdown_tables import markdown_table
from voltween.benchmarks.workloads import smooth_flow, smooth_image
from voltween.ops import (
    compose,
    instruction_sets,
    kernel_choices,
    using_instructions,
    warp,
)


def seconds_of(operation, inputs):
    """Processor seconds of one call."""
    with torch.inference_mode():
        start = time.thread_time()
        operation(*inputs)
        return time.thread_time() - start


def shortest_times(ours, plain, inputs, rounds):
    """The shortest processor seconds of every contender."""
    times = {}
    for _ in range(rounds):
        for name in instruction_sets():
            with using_instructions(name):
                times.setdefault(name, []).append(seconds_of(ours, inputs))
        times.setdefault("chosen", []).append(seconds_of(ours, inputs))
        times.setdefault("plain PyTorch", []).append(seconds_of(plain, inputs))
    return {name: min(seconds) for name, seconds in times.items()}


def main(side=128, rounds=20):
    """Prints the table and the choices."""
    torch.set_num_threads(1)
    image, flow, inner = (
        smooth_image(side, seed=1),
        *(smooth_flow(side, seed=seed) for seed in (3, 4)),
    )
    three = torch.cat([image, smooth_image(side, seed=2), 2 * image], dim=1)
    cases = {
        "warp, 1 channel": (warp, naive.naive_warp, (image, flow)),
        "warp, 3 channels": (warp, naive.naive_warp, (three, flow)),
        "composition": (compose, naive.naive_compose, (flow, inner)),
    }
    rows = []
    for name, (ours, plain, inputs) in cases.items():
        times = shortest_times(ours, plain, inputs, rounds)
        ratio = times["plain PyTorch"] / times["chosen"]
        milliseconds = [f"{1e3 * seconds:.1f}" for seconds in times.values()]
        rows.append((name, *milliseconds, f"{ratio:.1f}"))
    print(markdown_table(("ms", *times, "times as fast"), rows))
    print(dict(kernel_choices()))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""Times of the kernels of every instruction set, and of those chosen by measurement."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from voltween.benchmarks.operations import Operation
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import smooth_flow, smooth_image
from voltween.ops import compose, instruction_sets, using_instructions, warp

CHOSEN = "chosen"


@dataclass(frozen=True)
class KernelResult:
    """Times of one operation, forward only."""

    name: str
    timings: dict[str, Timing]
    """Times of each instruction set of the processor, and of `chosen`."""


def measure_kernels(side: int, repetitions: Repetitions) -> Iterator[KernelResult]:
    """Measures the operations that read at scattered places, on a cube."""
    image, flow = smooth_image(side, seed=1), smooth_flow(side, seed=3)
    inner, three = smooth_flow(side, seed=4), image.repeat(1, 3, 1, 1, 1)
    cases: dict[str, Work] = {
        "warp, 1 channel": _forward(warp, image, flow),
        "warp, 3 channels": _forward(warp, three, flow),
        "composition": _forward(compose, flow, inner),
    }
    for name, work in cases.items():
        contenders = {each: _with_set(each, work) for each in instruction_sets()}
        timings = alternate({**contenders, CHOSEN: work}, repetitions)
        yield KernelResult(name, timings)


def _forward(operation: Operation, *inputs: torch.Tensor) -> Work:
    def work() -> object:
        with torch.inference_mode():
            return operation(*inputs)

    return work


def _with_set(name: str, work: Work) -> Work:
    def work_with_set() -> object:
        with using_instructions(name):
            return work()

    return work_with_set

"""Times and memory by the number of voxels and threads."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from voltween.benchmarks.cold_start import measure_command
from voltween.benchmarks.memory import peak_bytes
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate, threads
from voltween.benchmarks.workloads import Workload, smooth_flow, smooth_image
from voltween.ops import warp

_LEVELS = 5  # possible for 64, 96, 128 and 192 voxels: the same network for all
_LARGEST_SIDE = 256  # of what needs memory for every voxel; a command's is bounded
_REPETITIONS = Repetitions(fewest_rounds=1, most_rounds=10, seconds=3.0)


@dataclass(frozen=True)
class GrowthResult:
    """Times and memory of one task on a cube of `side` voxels."""

    side: int
    task: str
    timings: dict[int, Timing]
    """By the number of threads."""
    peak_bytes: int | None
    """Beyond what is held before (of a command: in all); None where not measured."""


def measure_growth(
    sides: tuple[int, ...], repetitions: Repetitions
) -> Iterator[GrowthResult]:
    """Measures all tasks on all cubes, with 1, 2, 4, ... threads up to all.

    Cubes of more than 256 voxels per side: the whole command only.
    """
    fewer = replace(
        _REPETITIONS,
        most_rounds=min(repetitions.most_rounds, _REPETITIONS.most_rounds),
        seconds=min(repetitions.seconds, _REPETITIONS.seconds),
    )
    for side in sides:
        if side <= _LARGEST_SIDE:
            yield from _measure_tasks(side, fewer)
        by_threads = measure_command(side, _thread_counts(), fewer)
        peak = by_threads[max(by_threads)].peak_bytes
        timings = {count: result.timing for count, result in by_threads.items()}
        yield GrowthResult(side, "whole command", timings, peak)


def _measure_tasks(side: int, repetitions: Repetitions) -> Iterator[GrowthResult]:
    workloads = {
        "ADDD": Workload("inference", "voltween", "ADDD", side, _LEVELS),
        "training step": Workload("training", "voltween", "ADDD", side, _LEVELS),
        "refinement": Workload("refinement", "voltween", "", side),
    }
    for task, workload in workloads.items():
        peak = peak_bytes(workload)
        timings = _with_threads(workload.prepare(), repetitions)
        yield GrowthResult(side, task, timings, peak)
    image, flow = smooth_image(side, seed=2), smooth_flow(side, seed=3)
    timings = _with_threads(lambda: warp(image, flow), repetitions)
    yield GrowthResult(side, "warp", timings, None)


def _with_threads(work: Work, repetitions: Repetitions) -> dict[int, Timing]:
    contenders = {str(count): _limited(work, count) for count in _thread_counts()}
    timings = alternate(contenders, repetitions)
    return {int(name): timing for name, timing in timings.items()}


def _limited(work: Work, count: int) -> Work:
    def limited() -> object:
        with threads(count):
            return work()

    return limited


def _thread_counts() -> list[int]:
    """1, 2, 4, ... and all threads, ascending."""
    most = torch.get_num_threads()
    return sorted({most, *(2**n for n in range(most.bit_length()))})

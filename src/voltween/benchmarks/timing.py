"""Timing of contenders so that they can be compared on a noisy machine.

Contenders take turns (A B A B ...), so that other load on the machine affects all of
them. Medians and minima are compared; the quartiles show how reliable they are.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Wall-clock times of one contender's calls, in seconds, in their order."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median in seconds."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """Shortest time in seconds: the one least disturbed by other load."""
        return min(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile in seconds; twice the time if there is only one."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high


@dataclass(frozen=True)
class Repetitions:
    """Number of repetitions of a comparison."""

    fewest_rounds: int = 5
    """Calls of every contender, regardless of time."""
    most_rounds: int = 30
    """Maximum number of calls of every contender."""
    seconds: float = 8.0
    """Time after which no further round begins, once the fewest are done."""


def alternate(
    contenders: Mapping[str, Work], repetitions: Repetitions
) -> dict[str, Timing]:
    """Times all contenders, called in turn; the first call of each does not count."""
    for work in contenders.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + repetitions.seconds
    for number in range(repetitions.most_rounds):
        if number >= repetitions.fewest_rounds and time.perf_counter() > end:
            break
        for name, work in contenders.items():
            times[name].append(_seconds_of(work))
    return {name: Timing(tuple(values)) for name, values in times.items()}


def ratio_of_medians(slow: Timing, fast: Timing) -> float:
    """Ratio of the median times: slow / fast."""
    return slow.median / fast.median


def ratio_of_minima(slow: Timing, fast: Timing) -> float:
    """Ratio of the shortest times: slow / fast."""
    return slow.minimum / fast.minimum


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Lets PyTorch and the package's operations use `count` threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seconds_of(work: Work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

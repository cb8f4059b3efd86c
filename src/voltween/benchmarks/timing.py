"""Times that can be compared on a noisy machine.

Contenders take turns (A B A B ...), so that whatever else the machine does meets all of
them; medians and minima are compared, and the quartiles say how much to believe.
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
    """Wall-clock times of one contender's calls, in seconds, in the order taken."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median, seconds."""
        return statistics.median(self.seconds)

    @property
    def minimum(self) -> float:
        """Shortest, seconds: what the machine can do when nobody disturbs it."""
        return min(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Lower and upper quartile, seconds; the only time itself if there is one."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high


@dataclass(frozen=True)
class Repetitions:
    """How often to repeat a comparison."""

    fewest_rounds: int = 5
    """Calls of every contender, however long they take."""
    most_rounds: int = 30
    """Calls of every contender at most."""
    seconds: float = 8.0
    """After this time no round is begun beyond the fewest."""


def alternate(
    contenders: Mapping[str, Work], repetitions: Repetitions
) -> dict[str, Timing]:
    """Times of all contenders, called in turn; a first call of each is not counted."""
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
    """How many times as long `slow` takes, by the medians."""
    return slow.median / fast.median


def ratio_of_minima(slow: Timing, fast: Timing) -> float:
    """How many times as long `slow` takes, by the shortest times."""
    return slow.minimum / fast.minimum


@contextmanager
def threads(count: int) -> Iterator[None]:
    """PyTorch and the package's operations use `count` threads inside."""
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

"""Times of the parts of a registration."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Seconds(NamedTuple):
    """The time that a piece of work took, by two clocks."""

    wall: float
    """Seconds that passed."""
    processor: float
    """Seconds of processor time of this process, summed over its threads."""


@contextmanager
def timing(seconds: dict[str, Seconds], name: str) -> Iterator[None]:
    """Measures the block and keeps its time under a name."""
    wall, processor = time.perf_counter(), time.process_time()
    yield
    seconds[name] = Seconds(time.perf_counter() - wall, time.process_time() - processor)

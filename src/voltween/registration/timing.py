"""Times of the parts of a registration."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timing(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Adds the seconds that the block takes, under its name."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start

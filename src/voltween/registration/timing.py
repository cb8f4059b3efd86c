"""Times of the parts of a registration, and their names as they begin."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

_OnPart = Callable[[str], object]
_on_part: ContextVar[_OnPart] = ContextVar("on_part", default=lambda part: None)


class Seconds(NamedTuple):
    """The time that a piece of work took, by two clocks."""

    wall: float
    """Seconds that passed."""
    processor: float
    """Seconds of processor time of this process, summed over its threads."""


@contextmanager
def timing(seconds: dict[str, Seconds], name: str) -> Iterator[None]:
    """Measures the block and keeps its time under a name."""
    begin_part(name)
    wall, processor = time.perf_counter(), time.process_time()
    yield
    seconds[name] = Seconds(time.perf_counter() - wall, time.process_time() - processor)


def begin_part(name: str) -> None:
    """Tells who watches that a part of a registration begins."""
    _on_part.get()(name)


@contextmanager
def watching_parts(on_part: _OnPart) -> Iterator[None]:
    """Calls a function with the name of every part that begins within the block."""
    token = _on_part.set(on_part)
    try:
        yield
    finally:
        _on_part.reset(token)

"""The common currency of mutators: changed content, and a description in words."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

INTEGERS = (
    *(0, 1, -1, 2, 3, 5, 7, 8, 16, 64, 128, 255, 256, 1000, 32767, -32768),
    *(10**9, 2**31 - 1, -(2**31), 2**31, 2**32, 2**62, 2**63 - 1, 2**64, 10**30),
)
FLOATS = (
    *(0.0, -0.0, -1.0, 0.5, 2.0, 3.3, 1e3, 1e9, 1e-3, 1e-30, 1e-45, 1e30, 3e38),
    *(float("inf"), float("-inf"), float("nan")),
)
TEXTS = (
    *("", " ", "0", "-1", "1", "2", "1e9", "1e300", "1e999", "nan", "inf", "-inf"),
    *("NaN", "2147483648", "4294967296", "9223372036854775808", "1" * 400, "abc"),
    *("0 0 0", "1 2", "1 2 3 4 5 6 7", "(0,0,0)", "none", "True", "LOCAL", "LIST"),
    *("/etc/passwd", "../other.raw", "a,b", 'a"b', "ä", "\x00", "\x1b[31m", "=1+1"),
    *("1,5", "0x10", "1_000", "٣", "-0", "+", "x" * 5000),
)


@dataclass(frozen=True)
class Change:
    """Content of a file after a mutation."""

    content: bytes
    what: str
    is_damage: bool = False
    """Whether a reading that differs is wrong even if another library agrees with it:
    the format has a checksum or a length that the mutation breaks."""


Mutator = Callable[[np.random.Generator, bytes], Change]


def choose(rng, things):
    """One of the things, which may be of different types."""
    return things[int(rng.integers(len(things)))]


def as_damage(mutator):
    """The mutator for content whose damage can be noticed."""

    def mutate(rng, content):
        return replace(mutator(rng, content), is_damage=True)

    return mutate


def on_text(mutator):
    """A mutator of bytes from one of text, (rng, text) to (text, what)."""

    def mutate(rng, content):
        text, what = mutator(rng, content.decode("utf-8", "surrogateescape"))
        return Change(text.encode("utf-8", "surrogateescape"), what)

    return mutate

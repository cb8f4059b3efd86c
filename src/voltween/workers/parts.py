"""A share of the tasks, so that independent processes divide the work of one folder."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from voltween.errors import InputError

_FORMAT = re.compile(r"(\d*)/(\d+)")
_ARRAY_TASK = "SLURM_ARRAY_TASK_ID"
_EXPECTED = "a share such as 3/40"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Part:
    """One of several shares of the tasks: the first of 40 is number 1."""

    number: int
    parts: int

    @classmethod
    def read(cls, text: str) -> "Part":
        """Reads K/N; without K, the number is the task of a Slurm job array.

        Raises:
            InputError: If it is none, or the environment has no such number.
        """
        match = _FORMAT.fullmatch(text.strip())
        if match is None:
            raise InputError(about="--part", expected=_EXPECTED, got=repr(text))
        number, parts = match.groups()
        part = cls(int(number or _array_task()), int(parts))
        if not 1 <= part.number <= part.parts:
            raise InputError(
                about="--part",
                expected=f"a number from 1 to {part.parts}",
                got=part.number,
                advice=f"number the tasks of a job array from 1: --array=1-{parts}",
            )
        return part

    def of(self, items: Sequence[Item]) -> list[Item]:
        """The items of this share: every N-th, as neighbors take about as long."""
        return list(items[self.number - 1 :: self.parts])


def _array_task() -> str:
    number = os.environ.get(_ARRAY_TASK, "")
    if not number.isdecimal():
        raise InputError(
            about="--part",
            expected=f"{_EXPECTED}, or {_ARRAY_TASK} in the environment",
            got="neither",
        )
    return number

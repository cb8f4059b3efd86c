"""Errors: of too little memory, and of numbers out of range."""

import math

import pytest
import torch

from voltween.errors import (
    InputError,
    MemoryShortageError,
    check_range,
    reporting_memory_shortage,
)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 4 TiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried\nat x.cpp"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
)
def test_every_shortage_of_memory_is_one_line(error):
    with pytest.raises(MemoryShortageError) as caught, reporting_memory_shortage("a"):
        raise error
    assert str(caught.value).startswith("a: expected enough memory, got too little")
    assert "\n" not in str(caught.value)


def test_other_errors_pass():
    with pytest.raises(RuntimeError, match="other"), reporting_memory_shortage():
        raise RuntimeError("other")


def test_ranges_name_the_end_that_was_passed():
    for value in (0, 1.0, 5, None):
        check_range("a", value, 0, 5)
    for value, end in ((-1, "at least 0"), (6, "at most 5"), (math.nan, "at most 5")):
        with pytest.raises(InputError, match=f"a: expected {end}, got"):
            check_range("a", value, 0, 5)

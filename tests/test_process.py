import mmap
import time

import pytest

from voltween.process import held_bytes, measuring


def test_clocks_tell_waiting_from_working():
    with measuring() as used:
        time.sleep(0.2)
    assert 0.2 <= used.seconds < 2
    assert used.processor_seconds < 0.15


def touched(size):
    """Memory straight from the kernel, which goes back there: malloc may keep it."""
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    return block


def test_the_peak_is_that_of_the_work_alone():
    if held_bytes() is None:
        pytest.skip("the kernel does not tell")
    touched(300_000_000).close()
    before = held_bytes()
    with measuring() as used:
        touched(150_000_000).close()
    assert 140e6 < used.peak_bytes - before < 250e6

import time

import numpy as np
import pytest

from voltween.process import held_bytes, measuring


def test_clocks_tell_waiting_from_working():
    with measuring() as used:
        time.sleep(0.2)
    assert 0.2 <= used.seconds < 2
    assert used.processor_seconds < 0.15


def test_the_peak_is_that_of_the_work_alone():
    if held_bytes() is None:
        pytest.skip("the kernel does not tell")
    held = np.ones(40_000_000)  # 320 MB, gone before the work begins
    del held
    before = held_bytes()
    with measuring() as used:
        work = np.ones(20_000_000)  # 160 MB
        del work
    assert 140e6 < used.peak_bytes - before < 260e6

"""Clocks and memory of the process, and the packages it can import."""

import mmap
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from voltween.errors import MissingPackageError
from voltween.process import held_bytes, installed_version, measuring, require


def test_clocks_tell_waiting_from_working():
    with measuring() as used:
        time.sleep(0.2)
    assert 0.2 <= used.seconds < 2
    assert used.processor_seconds < 0.15


@pytest.mark.parametrize("is_used", [True, False])
def test_the_work_of_a_gpu_is_waited_for_if_one_is_used(is_used, monkeypatch):
    waits = []

    def synchronize():
        waits.append(time.perf_counter())
        time.sleep(0.1)

    cuda = SimpleNamespace(is_initialized=lambda: is_used, synchronize=synchronize)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with measuring() as used:
        began = time.perf_counter()
    if is_used:
        before, after = waits
        assert before < began <= after
        assert 0.1 <= used.seconds < 0.19  # the queue of earlier work does not count
    else:
        assert not waits
        assert used.seconds < 0.1


def test_without_pytorch_there_is_no_gpu_to_wait_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with measuring() as used:
        pass
    assert used.seconds < 0.1
    assert "torch" not in sys.modules


def touch_memory(size):
    """Allocate memory from the kernel itself: malloc may keep what is freed."""
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    return block


def test_the_peak_is_that_of_the_work_alone():
    if held_bytes() is None:
        pytest.skip("needs Linux's /proc")
    touch_memory(300_000_000).close()
    before = held_bytes()
    with measuring() as used:
        touch_memory(150_000_000).close()
    assert 140e6 < used.peak_bytes - before < 250e6


def test_versions_are_those_of_the_installed_packages():
    assert installed_version("numpy") == version("numpy")
    assert installed_version("no-such-package") is None


def test_a_missing_package_is_named_with_what_installs_it():
    assert require("numpy", extra="none", purpose="arrays") == version("numpy")
    with pytest.raises(MissingPackageError) as caught:
        require("no-such-package", extra="bench", purpose="Speed")
    assert str(caught.value) == (
        "Speed: expected the no-such-package package, got none installed: "
        "pip install 'voltween[bench]'"
    )

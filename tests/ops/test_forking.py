"""A process that has computed with several threads can be forked."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import voltween
from voltween.ops import forking, warp

SOURCE = Path(voltween.__file__).parents[1]
TESTS = Path(__file__).parents[1]
SECONDS = 120  # it takes three on a free machine; a fork that hangs never ends
CODE = """
import multiprocessing, torch
from support.scans import FIXED, MOVING, tiny_model
from voltween.ops import warp
from voltween.registration import register_by_network

def results(_):
    torch.manual_seed(0)
    model = tiny_model(strength=0.1)
    return (
        warp(torch.rand(1, 1, 40, 40, 40), torch.rand(1, 3, 40, 40, 40)).sum().item(),
        (torch.rand(500, 500) @ torch.rand(500, 500)).sum().item(),
        register_by_network(FIXED, MOVING, model).correlation,
        torch.get_num_threads(),
    )

here = results(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(results, [0, 0]) == [here, here]
assert results(0) == here  # the parent goes on
assert here[-1] == 2
"""

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"
)


@needs_fork
def test_a_pool_computes_what_its_parent_computed_before():
    path = os.pathsep.join([str(SOURCE), str(TESTS)])
    # Without this, waiting threads keep the processors busy.
    changes = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", "PYTHONPATH": path}
    subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | changes,
        timeout=SECONDS,
        check=True,
    )


@needs_fork
def test_without_a_way_to_end_threads_children_compute_with_one(monkeypatch):
    handlers = {}
    monkeypatch.setattr(forking, "_pause_of", lambda library: None)
    monkeypatch.setattr(os, "register_at_fork", lambda **given: handlers.update(given))
    forking.allow_forks()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        handlers["after_in_child"]()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert "before" not in handlers
    assert warp(torch.rand(1, 1, 4, 4, 4), torch.zeros(1, 3, 4, 4, 4)).isfinite().all()

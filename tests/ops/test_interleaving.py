"""Phases in half precision; the rest of the two operations is in `test_native.py`."""

import torch

from support.tensors import random_numbers
from voltween.ops import interleave, join


def test_features_join_in_half_precision():
    skip = random_numbers(1, 2, 4, 2, 6).bfloat16().requires_grad_()
    phases = random_numbers(1, 24, 3, 2, 4, seed=1).bfloat16().requires_grad_()
    joined = join(skip, phases, phases.float(), 0.1)
    assert joined.dtype == torch.bfloat16
    expected = join(skip.float(), phases.float(), phases.float(), 0.1)
    torch.testing.assert_close(joined.float(), expected, atol=0, rtol=2**-8)
    joined.float().sum().backward()
    assert phases.grad.dtype == torch.bfloat16


def test_flows_leave_half_precision():
    phases = random_numbers(1, 24, 3, 2, 4).bfloat16()
    assert torch.equal(interleave(phases, 2.0), interleave(phases.float(), 2.0))
    assert interleave(phases, 2.0).dtype == torch.float32
    assert interleave(phases.double(), 2.0).dtype == torch.float64

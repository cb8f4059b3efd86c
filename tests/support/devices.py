"""Tests that run on the CPU everywhere, and on a CUDA device where there is one.

On a device other than the CPU, operations take their stock form, in plain PyTorch. The
tests' own CPU runs show that the tests themselves are right.
"""

import pytest
import torch

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ],
)
each_device = pytest.mark.parametrize("device", ["cpu", CUDA])


def on(device, *values):
    """The values on a device, which are tensors in part."""
    return tuple(x.to(device) if torch.is_tensor(x) else x for x in values)

"""What the package has that is faster than plain PyTorch: the one place that names it.

The benchmarks take the inference callable and the processor's abilities from here.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from voltween.networks import Tweening, VolumeTweeningNetwork

Precision = Literal["fp32", "bf16", "auto"]


# MERGE: replace the three functions by
#   from voltween.inference import has_fast_bf16, optimize
#   from voltween.native import instruction_set
# with __all__ = ["has_fast_bf16", "instruction_set", "optimize"].
def optimize(
    network: VolumeTweeningNetwork, precision: Precision = "fp32"
) -> Callable[[Tensor, Tensor], Tweening]:
    """The network itself: there is no faster form of it yet."""
    if precision == "bf16":
        raise ValueError("precision must be fp32: there is no bfloat16 form yet")
    return network.eval()


def has_fast_bf16() -> bool:
    """False: there is no bfloat16 form yet."""
    return False


def instruction_set() -> str:
    """Instruction set that PyTorch's own operations use."""
    return str(torch.backends.cpu.get_cpu_capability()).lower()

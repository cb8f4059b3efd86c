"""The compiled functions for tensors; None where they are missing or not wanted."""

from typing import TYPE_CHECKING

from torch import Tensor

from voltween.process import load_compiled

if TYPE_CHECKING:
    import voltween.ops._native as native
else:
    native = load_compiled("voltween.ops._native")

__all__ = ["native", "runs_compiled"]


def runs_compiled(*tensors: Tensor) -> bool:
    """Whether the compiled operations run on these tensors.

    They do if they are there and all tensors are on the CPU.
    """
    is_on_cpu = all(tensor.device.type == "cpu" for tensor in tensors)
    return native is not None and is_on_cpu

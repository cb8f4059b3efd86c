"""The compiled modules of the package, which can be missing.

Packages that have one work without it: `ops` with PyTorch's operations, `spatial` with
those of NumPy and SciPy. Results agree within rounding; they take longer.
"""

import os
import warnings
from importlib import import_module
from types import ModuleType

from voltween.errors import InputError, SlowOperationsWarning

INSTRUCTIONS = "VOLTWEEN_INSTRUCTIONS"
"""The environment variable that names the instruction set of all kernels.

Its value `none` stands for the operations of PyTorch, NumPy and SciPy.
"""

_has_warned = False


def load_compiled(name: str) -> ModuleType | None:
    """Imports a compiled module; None without it, or if the environment says `none`.

    The first module of a process that cannot be imported gives a
    `SlowOperationsWarning`.

    Args:
        name: Full name of the module.

    Raises:
        InputError: If the environment names an instruction set that is not there.
    """
    wanted = os.environ.get(INSTRUCTIONS, "")
    if wanted == "none":
        return None
    try:
        return import_module(name)
    except ImportError as error:
        if wanted:
            raise InputError(
                about=INSTRUCTIONS,
                expected="none, or an instruction set that can be used here",
                got=f"{wanted} ({error})",
            ) from error
        _warn(error)
        return None


def _warn(error: ImportError) -> None:
    """Says once how much slower everything is, and what to install."""
    global _has_warned
    if _has_warned:
        return
    _has_warned = True
    warnings.warn(
        f"no compiled operations ({error}): registering takes two to eight times as "
        "long; install a C++20 compiler, such as by 'apt install g++', and then "
        "Voltween again: pip install --force-reinstall --no-deps --no-cache-dir "
        "voltween",
        SlowOperationsWarning,
        stacklevel=3,
    )

"""Lets a process that has computed be forked, as `multiprocessing.Pool` does on Linux.

GCC's OpenMP library, which PyTorch and the native operations share, keeps the threads
of a parallel region for the next one. A forked process inherits the record of these
threads without the threads, and its next parallel region waits for them for ever. They
are therefore ended before every fork; parent and child start new ones when needed.
"""

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

import torch

from voltween.ops.native import native

_SOFT = 1  # omp_pause_soft: keeps the settings, such as the number of threads


def allow_forks() -> None:
    """Makes all later forks of this process end the waiting threads of OpenMP first.

    Where an OpenMP library cannot end them (GCC 8 and older), forked processes compute
    with one thread, which needs no others.
    """
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    libraries = [torch._C.__file__, *([native.__file__] if native else [])]
    pauses = [_pause_of(library) for library in libraries]
    for pause in filter(None, pauses):
        os.register_at_fork(before=lambda pause=pause: pause(_SOFT))
    if not all(pauses):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def _pause_of(library: str) -> Callable[[int], int] | None:
    """OpenMP's function that ends waiting threads, of the OpenMP of a library.

    Libraries may bring OpenMP libraries of their own, each with its own threads.
    """
    with suppress(OSError, AttributeError):  # no such function
        return ctypes.CDLL(library).omp_pause_resource_all
    return None

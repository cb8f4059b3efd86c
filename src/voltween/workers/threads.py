"""The number of threads of the libraries that compute, for the time of a task."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Environment variables that libraries read when they are imported, and the other tools
that run in processes of their own when they start."""


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Gives PyTorch, ITK and the processes started within the block so many threads.

    The numbers before are put back at the end. A library that is imported within the
    block keeps the number.
    """
    former = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    try:
        with _torch_threads(count), _itk_threads(count):
            yield
    finally:
        for name, value in former.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    torch = sys.modules.get("torch")
    if torch is None:  # reads the environment when it is imported
        yield
        return
    former = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(former)


@contextmanager
def _itk_threads(count: int) -> Iterator[None]:
    itk = sys.modules.get("SimpleITK")
    if itk is None:
        yield
        return
    former = itk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
    try:
        yield
    finally:
        itk.ProcessObject.SetGlobalDefaultNumberOfThreads(former)

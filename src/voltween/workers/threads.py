"""The number of threads of the libraries that compute, for the time of a task."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def variables(count: int) -> dict[str, str]:
    """Environment variables by which libraries use so many threads.

    They read them when they are imported; other tools, when their processes start.
    """
    return dict.fromkeys(_VARIABLES, str(count))


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """Gives PyTorch, ITK and the processes started within the block so many threads.

    The numbers before are put back at the end. A library that is imported within the
    block keeps the number.
    """
    with keeping_variables(), _torch_threads(count), _itk_threads(count):
        os.environ.update(variables(count))
        yield


@contextmanager
def keeping_variables() -> Iterator[None]:
    """Puts the variables back at the end of the block, whatever was done to them.

    Dask sets them while it starts a worker; of two that start at once, the second
    would leave those of the first.
    """
    former = {name: os.environ.get(name) for name in _VARIABLES}
    try:
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

"""Dask clusters: local worker processes, a running scheduler, Slurm jobs."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voltween.errors import InputError
from voltween.process import require
from voltween.stopping import starting_deaf_processes
from voltween.workers.engine import Engine
from voltween.workers.threads import VARIABLES

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)
_EXTRA = "cluster"
_CONNECT_SECONDS = 30
_DEATHS = 1  # of workers that a task survives

_CONFIGURATION = {
    "logging": {
        "distributed": "critical",
        "tornado": "critical",
        "asyncio": "critical",
    },
    # Scans are not Dask's objects: it can neither count nor move them to disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 1.0,
    "distributed.worker.profile.enabled": False,
    # A library may keep Python's lock for minutes, in which a worker says nothing.
    "distributed.scheduler.worker-ttl": None,
    "distributed.admin.tick.limit": "1 hour",
}


@contextmanager
def connected(engine: Engine, tasks: int) -> Iterator["Client"]:
    """Starts or finds the workers of an engine; ends those that it has started.

    Raises:
        InputError: If they cannot be started, or no scheduler answers.
        MissingPackageError: If the extra `cluster` is not installed.
    """
    require("distributed", extra=_EXTRA, purpose="several workers")
    import dask
    import distributed  # noqa: F401 (its settings, before some of them are changed)

    variables = dict.fromkeys(VARIABLES, str(engine.threads))
    configuration = _CONFIGURATION | {
        "distributed.nanny.pre-spawn-environ": variables,
    }
    with dask.config.set(configuration), ExitStack() as stack:
        _silence()
        client = stack.enter_context(_client(engine, tasks))
        yield client


@contextmanager
def _client(engine: Engine, tasks: int) -> Iterator["Client"]:
    from distributed import Client

    if engine.scheduler is not None:
        with _of_scheduler(engine.scheduler) as client:
            yield client
        return
    with starting_deaf_processes():
        cluster = _local(engine, tasks)
    try:
        with Client(cluster) as client:
            yield client
    except BaseException:  # an interrupt does not wait for the tasks in progress
        _kill_workers(cluster)
        raise
    finally:
        cluster.close()


def _kill_workers(cluster: Any) -> None:
    """Ends local workers in the middle of their tasks: results are whole or none."""
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        with suppress(OSError, TypeError):  # it has ended by itself, or not begun
            os.kill(nanny.pid, signal.SIGKILL)


def _local(engine: Engine, tasks: int) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=min(engine.workers, tasks),
        threads_per_worker=1,
        memory_limit=engine.memory or 0,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        scheduler_kwargs={
            "allowed_failures": _DEATHS,
            "dashboard": engine.dashboard,
        },
    )


@contextmanager
def _of_scheduler(place: str) -> Iterator["Client"]:
    from distributed import Client

    is_file = Path(place).is_file()
    try:
        client = Client(
            **({"scheduler_file": place} if is_file else {"address": place}),
            timeout=_CONNECT_SECONDS,
        )
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            about="--scheduler",
            expected="the address of a running Dask scheduler, or its file",
            got=f"{place}: {error}",
        ) from error
    with client:
        yield client


def _silence() -> None:
    """Keeps the log of Dask off the terminal: outcomes say what is wrong."""
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)

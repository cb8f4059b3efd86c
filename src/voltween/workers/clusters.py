"""Dask clusters: local worker processes, a running scheduler, Slurm jobs."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voltween.errors import InputError
from voltween.process import require, starting_deaf_processes
from voltween.workers.engine import Engine
from voltween.workers.slurm_cluster import SlurmWorkers, start_slurm
from voltween.workers.threads import keeping_variables, variables

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)
_EXTRA = "cluster"
_CONNECT_SECONDS = 30
_DEATHS = 1  # of workers that a task survives
_ENDED = {"closing", "closed", "stopping", "stopped", "failed"}

_SETTINGS = {
    # Scans are not Dask's objects: it can neither count nor move them to disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 1.0,
    "distributed.worker.profile.enabled": False,
    # A library may keep Python's lock for minutes, in which a worker says nothing.
    "distributed.scheduler.worker-ttl": None,
    # A busy machine, or a slow disk, takes long to start a worker anew.
    "distributed.deploy.lost-worker-timeout": "10 minutes",
}
_LOGS = {"distributed": "critical", "tornado": "critical", "asyncio": "critical"}


@dataclass(frozen=True)
class Connection:
    """The connection to the workers of an engine."""

    client: "Client"
    renew: Callable[[], None] = lambda: None
    """Called now and then: replaces workers that have ended."""


@contextmanager
def connected(engine: Engine, tasks: int) -> Iterator[Connection]:
    """Starts or finds the workers of an engine; ends those that it has started.

    Raises:
        InputError: If they cannot be started, or no scheduler answers.
        MissingPackageError: If the extra `cluster` is not installed.
    """
    require("distributed", extra=_EXTRA, purpose="other workers than this process")
    import dask
    import distributed  # noqa: F401 (its settings, before some of them are changed)

    settings = {
        **_SETTINGS,
        "logging": _LOGS,
        "distributed.nanny.pre-spawn-environ": variables(engine.threads),
    }
    with (
        keeping_variables(),
        dask.config.set(settings),
        _quiet(),
        _connection(engine, tasks) as connection,
    ):
        if engine.dashboard:
            logger.warning("Dashboard: %s", connection.client.dashboard_link)
        yield connection


def _connection(engine: Engine, tasks: int) -> AbstractContextManager[Connection]:
    if engine.scheduler is not None:
        return _of_scheduler(engine.scheduler)
    if engine.slurm is not None:
        return _slurm(engine, tasks)
    return _local(engine, tasks)


@contextmanager
def _local(engine: Engine, tasks: int) -> Iterator[Connection]:
    from distributed import Client, LocalCluster

    with starting_deaf_processes():
        cluster = LocalCluster(
            n_workers=min(engine.workers, tasks),
            threads_per_worker=1,
            memory_limit=engine.memory or 0,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            scheduler_kwargs=_scheduler_options(engine),
        )
    try:
        with Client(cluster) as client:
            yield Connection(client, partial(_check_workers, cluster))
    except BaseException:  # an interrupt does not wait for the tasks in progress
        _kill_workers(cluster)
        raise
    finally:
        cluster.close()


def _check_workers(cluster: Any) -> None:
    """Checks that a local worker lives, or is being started anew.

    Raises:
        InputError: If all have ended for good: their tasks would wait forever.
    """
    states = [nanny.status.name for nanny in list(cluster.workers.values())]
    if all(state in _ENDED for state in states):
        raise InputError(
            about="workers",
            expected="local processes that can be started again after they ended",
            got="none of them",
            advice="repeat the command to continue: what is done is kept",
        )


def _kill_workers(cluster: Any) -> None:
    """Ends local workers in the middle of their tasks: results are whole or none."""
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        with suppress(OSError, TypeError):  # it has ended by itself, or not begun
            os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _slurm(engine: Engine, tasks: int) -> Iterator[Connection]:
    from distributed import Client

    require("dask-jobqueue", extra=_EXTRA, purpose="workers in Slurm jobs")
    exports = variables(engine.threads) | {
        f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(value)
        for name, value in _SETTINGS.items()
    }
    options = _scheduler_options(engine) | {"dashboard_address": ":0"}
    with starting_deaf_processes():
        cluster = start_slurm(engine, exports, options)
    try:
        workers = SlurmWorkers(cluster, min(engine.jobs, tasks), engine.logs)
        with Client(cluster) as client:
            yield Connection(client, workers.renew)
    finally:
        cluster.close()


def _scheduler_options(engine: Engine) -> dict[str, Any]:
    return {"allowed_failures": _DEATHS, "dashboard": engine.dashboard}


@contextmanager
def _of_scheduler(place: str) -> Iterator[Connection]:
    """A cluster that others have started; its own settings say what it survives."""
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
        yield Connection(client)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the log of Dask off the terminal: outcomes say what is wrong."""
    names = [n for n in logging.root.manager.loggerDict if n.split(".")[0] in _LOGS]
    loggers = [logging.getLogger(name) for name in names]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)

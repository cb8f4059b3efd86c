"""Hands tasks to the workers of a Dask cluster, as many at a time as it has workers.

Further tasks would queue at a worker, and count as failed when that worker dies.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voltween.errors import InputError
from voltween.workers.clusters import Connection
from voltween.workers.tasks import Outcome, Task, perform_elsewhere

if TYPE_CHECKING:
    from distributed import Client, Future

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Reports:
    """Functions that are called when tasks are handed out and when they end."""

    on_start: Callable[[str], None]
    on_done: Callable[[Outcome], None]


def run_on(
    connection: Connection,
    function: Callable[..., object],
    tasks: Sequence[Task],
    *,
    threads: int,
    reports: Reports,
) -> None:
    """Runs the tasks on the workers of a connection.

    Raises:
        InputError: If the scheduler is lost.
        OutputError: If the result of a task cannot be written.
    """
    from distributed import CancelledError

    try:
        _run(connection, function, tasks, threads=threads, reports=reports)
    except CancelledError as error:
        raise _lost_scheduler(error) from error


def _run(
    connection: Connection,
    function: Callable[..., object],
    tasks: Sequence[Task],
    *,
    threads: int,
    reports: Reports,
) -> None:
    from distributed import wait

    waiting = list(reversed(tasks))
    running: dict[Future, Task] = {}
    client = connection.client
    while waiting or running:
        connection.renew()
        free = max(0, _places(client) - len(running))
        for task in [waiting.pop() for _ in range(min(free, len(waiting)))]:
            reports.on_start(task.name)
            future = client.submit(
                *(perform_elsewhere, function, task, threads, os.getcwd()), pure=False
            )
            running[future] = task
        try:
            ended = wait(
                list(running), timeout=_POLL_SECONDS, return_when="FIRST_COMPLETED"
            ).done
        except TimeoutError:
            continue
        for future in ended:
            outcome = _outcome(future, running.pop(future))
            future.release()  # of a worker that dies later, nothing is asked again
            reports.on_done(outcome)


def _places(client: "Client") -> int:
    """The number of tasks that the workers can run at a time, at least one.

    A cluster that starts workers on demand needs one task to do so.

    Raises:
        InputError: If the scheduler is lost.
    """
    try:
        return max(1, sum(client.nthreads().values()))
    except (OSError, RuntimeError) as error:
        raise _lost_scheduler(error) from error


def _lost_scheduler(error: BaseException) -> InputError:
    """The error that the scheduler does not answer any more."""
    return InputError(
        about="scheduler",
        expected="one that runs until the last task has ended",
        got=f"none that answers ({type(error).__name__})",
        advice="repeat the command to continue: what is done is kept",
    )


def _outcome(future: "Future", task: Task) -> Outcome:
    """The outcome of a future that has ended.

    Raises:
        OutputError: If the result of the task cannot be written.
    """
    from distributed import KilledWorker

    try:
        result: Any = future.result()
    except KilledWorker:
        return Outcome(
            task.name,
            "expected a worker that lives to the end of the task, got one that died "
            "twice: it may need more memory (--worker-memory-gb, mem= of --slurm) or "
            "more time than a worker has",
        )
    return result

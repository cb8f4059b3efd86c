"""Runs tasks by an engine and reports the end of each."""

import warnings
from collections.abc import Callable, Sequence

from voltween.errors import InputError
from voltween.workers.clusters import connected
from voltween.workers.engine import Engine
from voltween.workers.futures import Reports, run_on
from voltween.workers.tasks import Outcome, Task, perform


def run_tasks(
    function: Callable[..., object],
    tasks: Sequence[Task],
    engine: Engine,
    on_done: Callable[[Outcome], None],
    *,
    on_start: Callable[[str], None] = lambda name: None,
) -> None:
    """Calls the function once per task, with the arguments of the task.

    A task that raises is an outcome with an error, and so is one whose worker dies
    twice; the others go on. Outcomes come in the order in which tasks end.

    Args:
        function: A function of a module, which writes its own result. It is called in
            this process or in worker processes, which keep their imports and caches.
        tasks: Tasks, of which the engine runs its share.
        engine: Where and how they run.
        on_done: Called in this process after each task.
        on_start: Called in this process with the name of a task that is handed out.

    Raises:
        InputError: If two tasks have one name, or the engine cannot be started.
        MissingPackageError: If the engine needs the extra `cluster`.
        OutputError: If a result cannot be written; tasks that have not begun are left.
    """
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            about="tasks", expected="different names", got=f"{twice} twice"
        )
    share = engine.part.of(tasks) if engine.part else list(tasks)
    if not share:
        return

    def report(outcome: Outcome) -> None:
        for text in outcome.warnings:
            warnings.warn(f"{outcome.name}: {text}", stacklevel=2)
        on_done(outcome)

    if engine.is_this_process:
        for task in share:
            on_start(task.name)
            report(perform(function, task, engine.threads))
        return
    with connected(engine, len(share)) as connection:
        reports = Reports(on_start, report)
        run_on(connection, function, share, threads=engine.threads, reports=reports)

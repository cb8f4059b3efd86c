"""Runs tasks by an engine and reports the end of each."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
    twice; the others go on. Outcomes come in the order in which tasks end. A warning
    begins with the name of its task; what several tasks warn of is told once.

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

    told: set[str] = set()

    def report(outcome: Outcome) -> None:
        with _naming_warnings(outcome.name, told):
            for text in outcome.warnings:
                warnings.warn(text, stacklevel=2)
        on_done(outcome)

    if engine.is_this_process:
        for task in share:
            on_start(task.name)
            with _naming_warnings(task.name, told):
                outcome = perform(function, task, engine.threads)
            report(outcome)
        return
    with connected(engine, len(share)) as connection:
        reports = Reports(on_start, report)
        run_on(connection, function, share, threads=engine.threads, reports=reports)


@contextmanager
def _naming_warnings(name: str, told: set[str]) -> Iterator[None]:
    """Shows the user's warnings of the block with a name, and none of those told."""
    show = warnings.showwarning

    def show_named(
        message: Warning | str, category: type[Warning], *rest: Any, **more: Any
    ) -> None:
        text = str(message)
        if not issubclass(category, UserWarning):
            show(message, category, *rest, **more)
        elif text not in told:
            told.add(text)
            show(category(f"{name}: {text}"), category, *rest, **more)

    warnings.showwarning = show_named
    try:
        yield
    finally:
        warnings.showwarning = show

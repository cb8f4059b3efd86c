"""An engine with its status: what commands hand to the work that they start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voltween.workers.engine import Engine
from voltween.workers.running import run_tasks
from voltween.workers.status import Status
from voltween.workers.tasks import Outcome, Task


def _without_remark(outcome: Outcome) -> str:
    return ""


@dataclass(frozen=True, eq=False)
class Runner:
    """Runs tasks by an engine and notes them in a status."""

    engine: Engine = field(default_factory=Engine)
    status: Status = field(default_factory=Status)

    def run(
        self,
        function: Callable[..., object],
        tasks: Sequence[Task],
        on_done: Callable[[Outcome], str] = _without_remark,
    ) -> None:
        """Runs tasks as `run_tasks` does.

        Args:
            function: The function of the tasks.
            tasks: The tasks.
            on_done: Called after each task; returns a remark for the status.

        Raises:
            InputError: If two tasks have one name, or the engine cannot be started.
            MissingPackageError: If the engine needs the extra `cluster`.
            OutputError: If a result cannot be written.
        """

        def end(outcome: Outcome) -> None:
            self.status.end(outcome, on_done(outcome))

        self.status.add(task.name for task in tasks)
        try:
            run_tasks(function, tasks, self.engine, end, on_start=self.status.start)
        finally:
            self.status.close()

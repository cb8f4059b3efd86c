"""Options of commands that run many tasks, and the line that shows their progress."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.progress import BarColumn, ProgressColumn
from rich.progress import Task as ProgressTask
from rich.text import Text

from voltween.cli.console import console, error_console
from voltween.cli.interrupts import KEPT
from voltween.cli.progress import progress_bar
from voltween.errors import InputError, check_range
from voltween.storage import output_folder, terminal
from voltween.workers import (
    SLURM_LOGS,
    STATUS,
    Engine,
    Part,
    Runner,
    SlurmJob,
    Status,
)

_GIGABYTE = 1_000_000_000
_MEMORY_GB = 0.1, 1e6  # Python with PyTorch takes more than the least
_LOG_SECONDS = 60
_LEAST_BYTES = 1 << 20  # stands for a limit that is not known yet


@dataclass(frozen=True)
class PlaceOptions:
    """The place where the work is done, besides the number of local workers."""

    threads: int | None = None
    """Threads of each worker; if not given, 1, or the CPUs of a Slurm job."""
    worker_memory_gb: float | None = None
    """Memory in GB at which a local worker is ended; its task is tried once more. One
    worker is then a process of its own."""
    scheduler: str | None = None
    """Address of a running Dask scheduler, or its scheduler file."""
    slurm: str | None = None
    """Resources of the Slurm jobs in which workers run, such as
    partition=NAME,time=4:00:00,cpus=4,mem=16G; other long options of sbatch can be
    added. Each job is one worker; a job that ends is replaced. Without mem, `voltween
    cohort` estimates it."""
    jobs: int = 1
    """Slurm jobs at a time."""
    dashboard: bool = False
    """Show the address of Dask's dashboard."""

    def __post_init__(self) -> None:
        self.with_workers(1)  # which checks them, before a command does anything

    def with_workers(self, workers: int) -> "EngineOptions":
        """The options with so many local workers, unless another place is named."""
        is_elsewhere = self.scheduler is not None or self.slurm is not None
        return EngineOptions(**vars(self), workers=1 if is_elsewhere else workers)


@dataclass(frozen=True)
class _LocalWorkers:
    """The number of workers, which a command may have for other work as well."""

    workers: int = 1
    """Local worker processes."""


@dataclass(frozen=True)
class EngineOptions(PlaceOptions, _LocalWorkers):  # the last one's options come first
    """The place where the work is done. All but one worker needs voltween[cluster].

    Raises:
        InputError: If the options contradict each other, or a number is out of range.
    """

    def __post_init__(self) -> None:
        self._engine(None, memory=_LEAST_BYTES)  # the limit of a job may come later

    def engine(
        self, out: Path, *, part: str | None = None, memory: int | None = None
    ) -> Engine:
        """The engine of these options.

        Args:
            out: Folder of the command's results, in which Slurm jobs keep their logs.
            part: Share of the tasks, such as 3/40.
            memory: Bytes that one of several local workers, or a Slurm job, may use
                unless an option says otherwise.

        Raises:
            InputError: If there is no such share, or a Slurm job has no memory.
            OutputError: If the folder of the logs cannot be made.
        """
        engine = self._engine(part, memory)
        if engine.slurm is None:
            return engine
        return replace(engine, logs=output_folder(out / SLURM_LOGS).resolve())

    def _engine(self, part: str | None, memory: int | None) -> Engine:
        """The engine without the logs of its jobs; nothing is written.

        Raises:
            InputError: If the options contradict each other.
        """
        slurm = None if self.slurm is None else SlurmJob.read(self.slurm, memory)
        threads = self.threads
        if threads is None:
            threads = slurm.cpus if slurm else 1
        return Engine(
            workers=self.workers,
            threads=threads,
            memory=self._local_memory(memory),
            scheduler=self.scheduler,
            slurm=slurm,
            jobs=self.jobs,
            part=None if part is None else Part.read(part),
            dashboard=self.dashboard,
        )

    def _local_memory(self, usual: int | None) -> int | None:
        """Bytes that a local worker may use; one worker has a limit only if told."""
        if self.worker_memory_gb is None:
            return usual if self.workers > 1 else None
        check_range("--worker-memory-gb", self.worker_memory_gb, *_MEMORY_GB)
        if self.slurm is not None or self.scheduler is not None:
            raise InputError(
                about="--worker-memory-gb",
                expected="local workers",
                got="--scheduler" if self.slurm is None else "--slurm",
                advice="jobs have the memory of mem=, other workers their own limits",
            )
        return int(self.worker_memory_gb * _GIGABYTE)

    @contextmanager
    def running(self, out: Path) -> Iterator[Runner]:
        """Yields a runner with a table of its tasks in `out`, and shows its progress.

        After an interrupt, one line says how to go on.

        Raises:
            InputError: If the options contradict each other.
        """
        engine = self.engine(out)
        status = Status(file=out / STATUS, on_change=LogLines())
        with showing(status):
            yield Runner(engine, status)


def list_failures(status: Status) -> None:
    """Lists the failed tasks, one line each."""
    for name, error in status.failures.items():
        error_console.print(f"voltween: {name}: {error}")


@contextmanager
def showing(status: Status, *, left: str = KEPT) -> Iterator[None]:
    """Shows the line of a status while it changes.

    Args:
        status: The status.
        left: What is said after an interrupt about the results so far; empty if the
            command says it (see `interrupts`).
    """
    try:
        with progress_bar(BarColumn(), _Line(status)) as bar:
            bar.add_task("", total=None)
            yield
    except KeyboardInterrupt:
        if status.tasks:
            words = "; ".join(part for part in (status.line(), left) if part)
            error_console.print(f"voltween: {words}")
        raise


class LogLines:
    """Prints the line of a status once per minute where there is no terminal."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, status: Status) -> None:
        """Prints the line if it is time."""
        if (
            not error_console.is_terminal
            and time.monotonic() - self._printed > _LOG_SECONDS
        ):
            self._printed = time.monotonic()
            console.print(status.line())


class _Line(ProgressColumn):
    """The counts, rate and time left of a status, and the task that ended last."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status

    def render(self, task: ProgressTask) -> Text:
        """The line as it is now."""
        task.total = self._status.tasks or None
        task.completed = self._status.ended
        note = f" ({self._status.note})" if self._status.note else ""
        return Text(terminal(f"{self._status.line()}{note}"))

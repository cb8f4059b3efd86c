"""Options of commands that run many tasks: where they run, and how many at a time."""

from dataclasses import dataclass
from pathlib import Path

from voltween.files import output_folder
from voltween.workers import Engine, Part, SlurmJob

_GIGABYTE = 1_000_000_000
_LOGS = "slurm-logs"


@dataclass(frozen=True)
class EngineOptions:
    """Where the work is done. All but one worker needs voltween[cluster]."""

    workers: int = 1
    """Local worker processes."""
    threads: int | None = None
    """Threads of each worker; if not given, 1, or the CPUs of a Slurm job."""
    worker_memory_gb: float | None = None
    """Memory in GB at which a local worker is ended; its task is tried once more."""
    scheduler: str | None = None
    """Address of a running Dask scheduler, or its scheduler file."""
    slurm: str | None = None
    """Resources of the Slurm jobs in which workers run, such as
    partition=NAME,time=4:00:00,cpus=4,mem=16G; other long options of sbatch can be
    added. Each job is one worker; a job that ends is replaced."""
    jobs: int = 1
    """Slurm jobs at a time."""
    dashboard: bool = False
    """Show the address of Dask's dashboard."""

    def engine(
        self, out: Path, *, part: str | None = None, memory: int | None = None
    ) -> Engine:
        """The engine of these options.

        Args:
            out: Folder of the command's results, in which Slurm jobs keep their logs.
            part: Share of the tasks, such as 3/40.
            memory: Bytes of a local worker unless an option says otherwise.

        Raises:
            InputError: If the options contradict each other.
        """
        if self.worker_memory_gb is not None:
            memory = int(self.worker_memory_gb * _GIGABYTE)
        slurm = None if self.slurm is None else SlurmJob.read(self.slurm)
        threads = self.threads
        if threads is None:
            threads = slurm.cpus if slurm else 1
        return Engine(
            workers=self.workers,
            threads=threads,
            memory=memory,
            scheduler=self.scheduler,
            slurm=slurm,
            logs=output_folder(out / _LOGS).resolve() if slurm else None,
            jobs=self.jobs,
            part=None if part is None else Part.read(part),
            dashboard=self.dashboard,
        )

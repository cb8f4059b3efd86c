"""Settings of an engine: where tasks run, how many at a time, with how many threads."""

from dataclasses import dataclass
from pathlib import Path

from voltween.errors import InputError, check_range
from voltween.workers.parts import Part
from voltween.workers.slurm_jobs import SlurmJob

_MOST = 100_000  # workers, jobs, threads
_LEAST_BYTES = 1 << 20


@dataclass(frozen=True)
class Engine:
    """The place where tasks run: by default one after another in this process.

    Raises:
        InputError: If two places are named, or a number is out of range.
    """

    workers: int = 1
    """Local worker processes; 1 is this process, unless its memory is limited."""
    threads: int = 1
    """Threads of each worker."""
    memory: int | None = None
    """Bytes that a local worker may use before it is ended; None does not limit it."""
    scheduler: str | None = None
    """Address of a running Dask scheduler, or the path of its file."""
    slurm: SlurmJob | None = None
    """Resources of the Slurm jobs in which workers run."""
    jobs: int = 1
    """Slurm jobs at a time."""
    part: Part | None = None
    """Share of the tasks that is run; None runs all."""
    logs: Path | None = None
    """Folder for the logs of Slurm jobs; None keeps none."""
    dashboard: bool = False
    """Whether Dask's dashboard is started and its address shown."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads", "jobs"):
            check_range(f"--{name}", getattr(self, name), 1, _MOST)
        check_range("memory of a worker, bytes", self.memory, _LEAST_BYTES, 1 << 62)
        places = {
            "--workers": self.workers > 1,
            "--scheduler": self.scheduler is not None,
            "--slurm": self.slurm is not None,
        }
        chosen = [option for option, is_chosen in places.items() if is_chosen]
        if len(chosen) > 1:
            raise InputError(
                about=" and ".join(chosen), expected="one of them", got=len(chosen)
            )
        if self.jobs > 1 and self.slurm is None:
            raise InputError(about="--jobs", expected="--slurm with it", got="none")

    @property
    def is_this_process(self) -> bool:
        """Whether tasks run in this process, without Dask."""
        is_alone = self.workers == 1 and self.memory is None
        return is_alone and self.is_this_machine

    @property
    def is_this_machine(self) -> bool:
        """Whether tasks run on this machine, and find here what they need."""
        return self.scheduler is None and self.slurm is None

"""Dask workers in Slurm jobs, which are replaced when their jobs end.

dask-jobqueue writes the scripts and submits them. It replaces no job that has ended, at
its time limit or by `scancel`; `SlurmWorkers` does.
"""

import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voltween.errors import InputError
from voltween.workers.engine import Engine

_RENEW_SECONDS = 5.0
_FAILURES = 3  # generations of jobs that end before a worker of theirs was there
_ANSWER_SECONDS = 60
_DEATH_SECONDS = "120"  # until a worker that finds no scheduler ends its job


def start_slurm(
    engine: Engine, exports: Mapping[str, str], scheduler_options: Mapping[str, Any]
) -> Any:
    """A cluster without jobs, whose settings Slurm has accepted.

    Args:
        engine: The resources of a job, and the folder of the logs.
        exports: Environment variables of the workers.
        scheduler_options: Options of the Dask scheduler, which runs in this process.

    Raises:
        InputError: If Slurm is missing or refuses the job.
    """
    from dask_jobqueue import SLURMCluster

    job = engine.slurm
    assert job is not None
    _check_is_installed()
    options = dict(job.options)
    time_limit = options.pop("time", None)
    logs = f"{engine.logs}/%j.log" if engine.logs else "/dev/null"
    directives = {**options, "output": logs}
    cluster = SLURMCluster(
        cores=1,  # tasks at a time
        processes=1,
        job_cpu=job.cpus,
        memory=job.memory,
        job_mem=job.memory,
        walltime=time_limit or "",
        job_name="voltween",
        job_extra_directives=[f"--{key}={value}" for key, value in directives.items()],
        job_directives_skip=[] if time_limit else ["-t "],
        job_script_prologue=[f"export {key}={value}" for key, value in exports.items()],
        death_timeout=_DEATH_SECONDS,
        scheduler_options=dict(scheduler_options),
    )
    try:
        _check_is_accepted(cluster.job_script())
    except BaseException:
        cluster.close()
        raise
    return cluster


def _check_is_installed() -> None:
    try:
        _answer("sbatch", "--version")
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(
            about="--slurm",
            expected="a machine with Slurm",
            got=f"none whose sbatch can be run ({error})",
            advice="give the command on a login node",
        ) from error


def _check_is_accepted(script: str) -> None:
    """Asks Slurm whether it would take the script.

    Raises:
        InputError: If it would not, or does not answer.
    """
    try:
        _answer("sbatch", "--test-only", stdin=script)
    except subprocess.SubprocessError as error:
        text = getattr(error, "stderr", None) or str(error)
        raise InputError(
            about="--slurm",
            expected="resources that Slurm grants",
            got="; ".join(text.split("\n")).strip("; "),
        ) from error


def _answer(*command: str, stdin: str = "") -> str:
    """The output of a command of Slurm.

    Raises:
        OSError: If there is no such command.
        subprocess.SubprocessError: If it fails or does not end.
    """
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        check=True,
        text=True,
        timeout=_ANSWER_SECONDS,
    ).stdout


class SlurmWorkers:
    """The jobs of a cluster: as many as wanted, until the run ends."""

    def __init__(self, cluster: Any, jobs: int, logs: Path | None) -> None:
        """Submits the jobs."""
        self._cluster = cluster
        self._jobs = jobs
        self._logs = logs
        self._lost = 0
        self._checked = time.monotonic()
        cluster.scale(jobs=jobs)

    def renew(self) -> None:
        """Submits a job for each one that has ended, at most every few seconds.

        Raises:
            InputError: If jobs end again and again before a worker has started.
        """
        if time.monotonic() - self._checked < _RENEW_SECONDS:
            return
        self._checked = time.monotonic()
        ended = self._ended()
        if not ended:
            return
        has_workers = bool(self._cluster.scheduler_info["workers"])
        self._lost = 0 if has_workers else self._lost + len(ended)
        if self._lost >= _FAILURES * self._jobs:
            raise InputError(
                about="--slurm",
                expected="jobs in which a worker starts",
                got=f"{self._lost} jobs that ended before",
                advice=f"see their logs in {self._logs}",
            )
        for name in ended:
            self._cluster.workers.pop(name, None)
        self._cluster.scale(jobs=self._jobs)

    def _ended(self) -> list[Any]:
        """Names of the jobs that Slurm does not list any more."""
        ids = {
            name: str(job.job_id)
            for name, job in list(self._cluster.workers.items())
            if job.job_id is not None
        }
        try:
            listed = _answer("squeue", "--me", "--noheader", "--format=%A %T").split()
        except (OSError, subprocess.SubprocessError):  # busy: the next time, then
            return []
        return [name for name, number in ids.items() if number not in listed]

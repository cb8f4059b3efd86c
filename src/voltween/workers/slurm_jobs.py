"""Slurm jobs: the resources of one, and the script of a job array."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voltween.errors import InputError

SLURM_LOGS = "slurm-logs"
"""Name of the folder of the jobs' logs, in that of a command's results."""

_MEGABYTE = 1 << 20  # as Slurm counts
_EXAMPLE = "partition=NAME,time=4:00:00,cpus=4,mem=16G"


@dataclass(frozen=True)
class SlurmJob:
    """The resources of one Slurm job."""

    memory: str
    """As sbatch takes it, such as 16G."""
    cpus: int = 1
    options: Mapping[str, str] = field(default_factory=dict)
    """Further long options of sbatch, such as partition and time."""

    @classmethod
    def read(cls, text: str, memory_bytes: int | None = None) -> "SlurmJob":
        """Reads KEY=VALUE,KEY=VALUE with the long options of sbatch, cpus and mem.

        Args:
            text: The text.
            memory_bytes: The memory of a job if the text has no mem.

        Raises:
            InputError: If it is none, or the memory is missing.
        """
        options: dict[str, str] = {}
        for item in text.split(","):
            key, equals, value = (word.strip() for word in item.partition("="))
            if not (key.replace("-", "").isalnum() and equals and value):
                raise _wrong(repr(text))
            options[key] = value
        usual = "" if memory_bytes is None else f"{-(-memory_bytes // _MEGABYTE)}M"
        cpus, memory = options.pop("cpus", "1"), options.pop("mem", usual)
        if not memory:
            raise _wrong(f"no mem in {text!r}")
        if not cpus.isdecimal() or int(cpus) < 1:
            raise _wrong(f"cpus={cpus}")
        return cls(memory, int(cpus), options)

    @property
    def directives(self) -> list[str]:
        """Options of sbatch."""
        own = {"cpus-per-task": str(self.cpus), "mem": self.memory}
        return [f"--{key}={value}" for key, value in {**self.options, **own}.items()]


def array_script(words: Sequence[str], job: SlurmJob, parts: int) -> str:
    """The script of a job array in which each task runs its share of a command.

    Args:
        words: The command with its options, without `--part`; at least its name.
        job: Resources of one task of the array.
        parts: Number of tasks.
    """
    name, *options = words
    # In front, as what follows a -- is no option.
    share = shlex.join([name, "--part", f"/{parts}", *options])
    directives = [f"--job-name=voltween-{name}", f"--array=1-{parts}", *job.directives]
    python = shlex.quote(sys.executable)
    lines = [
        "#!/bin/sh",
        *(f"#SBATCH {directive}" for directive in directives),
        "# Each task does its share, and what is done stays: submit it again to go on.",
        f"exec {python} -m voltween {share}",
    ]
    return "\n".join(lines) + "\n"


def _wrong(got: str) -> InputError:
    return InputError(about="--slurm", expected=f"such as {_EXAMPLE}", got=got)

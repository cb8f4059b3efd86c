"""Time of a registration by the network, from the start of its process to its files."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween.benchmarks.timing import Repetitions, Timing
from voltween.benchmarks.workloads import smooth_image
from voltween.io import write
from voltween.spatial import Grid, Image

_MODEL = "brain"
_EXTENT_MM = 192  # side of the scans
# The noise is no head, which `voltween register` would refuse.
_REGISTER = """
import json
import sys
from voltween import io
from voltween.models import load_model
from voltween.process import peak_bytes
from voltween.registration import register_by_network, write_registration
fixed, moving = map(io.read, sys.argv[1:3])
result = register_by_network(fixed, moving, load_model(sys.argv[4]))
write_registration(result, sys.argv[3])
print(json.dumps(peak_bytes()))
"""


@dataclass(frozen=True)
class ColdStart:
    """Times of the process and of its parts, over the same rounds."""

    side: int
    """Voxels per axis of the two scans, which are smooth noise."""
    whole: Timing
    imports: Timing
    """Times of a process that only imports what the command imports."""
    network: Timing
    """Times of the network within it, including packing of its weights."""

    @property
    def rest(self) -> Timing:
        """Times of everything else: reading, transforms, files, picture."""
        parts = (self.whole.seconds, self.imports.seconds, self.network.seconds)
        rounds = zip(*parts, strict=True)
        return Timing(
            tuple(whole - imports - network for whole, imports, network in rounds)
        )


@dataclass(frozen=True)
class Command:
    """Times and memory of the whole process, with one number of threads."""

    timing: Timing
    peak_bytes: int | None
    """None where the system does not tell."""


def measure_cold_start(side: int, repetitions: Repetitions) -> ColdStart:
    """Registers two scans of `side` voxels per axis, each time in a new process."""
    with _scans(side, ".nii.gz") as (scans, folder):
        rounds = [
            _round(scans, folder / "out") for _ in range(repetitions.fewest_rounds)
        ]
    whole, imports, network = (Timing(times) for times in zip(*rounds, strict=True))
    return ColdStart(side, whole, imports, network)


def measure_command(
    side: int, thread_counts: Sequence[int], repetitions: Repetitions
) -> dict[int, Command]:
    """Registers two scans of `side` voxels per axis, by the number of threads."""
    seconds: dict[int, list[float]] = {count: [] for count in thread_counts}
    peaks: dict[int, int | None] = {}
    with _scans(side, ".nii") as (scans, folder):
        for _ in range(repetitions.fewest_rounds):
            for count in thread_counts:
                start = time.perf_counter()
                last_line = _register(scans, folder / "out", count)
                seconds[count].append(time.perf_counter() - start)
                peaks[count] = json.loads(last_line)
    return {
        count: Command(Timing(tuple(seconds[count])), peaks[count])
        for count in thread_counts
    }


@contextmanager
def _scans(side: int, suffix: str) -> Iterator[tuple[list[Path], Path]]:
    """Two scans of smooth noise, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / f"{seed}{suffix}" for seed in (1, 2)]
        for seed, path in enumerate(paths, 1):
            data = smooth_image(side, seed=seed)[0, 0].numpy()
            spacing_mm = _EXTENT_MM / side
            affine = np.diag([spacing_mm] * 3 + [1])
            write(Image(data, Grid((side, side, side), affine)), path)
        yield paths, folder


def _round(scans: list[Path], out: Path) -> tuple[float, float, float]:
    """Returns the seconds of the whole command, of its imports, and of its network."""
    start = time.perf_counter()
    _run("import voltween.cli.register")
    imported = time.perf_counter()
    _register(scans, out)
    end = time.perf_counter()
    figures = json.loads((out / "registration.json").read_text(encoding="utf-8"))
    network = figures["seconds"]["wall"]["network"]
    return end - imported, imported - start, network


def _register(scans: list[Path], out: Path, threads: int | None = None) -> str:
    """Registers in a process of its own; returns the last line that it prints."""
    return _run(_REGISTER, *map(str, scans), str(out), _MODEL, threads=threads)


def _run(code: str, *arguments: str, threads: int | None = None) -> str:
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    )
    return (result.stdout.splitlines() or [""])[-1]

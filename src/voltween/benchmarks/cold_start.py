"""The whole of `voltween register`, from the start of the process to files on disk."""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween.benchmarks.timing import Repetitions, Timing
from voltween.benchmarks.workloads import smooth_image
from voltween.io import write
from voltween.spatial import Grid, Image

_MODEL = "brain"


@dataclass(frozen=True)
class ColdStart:
    """Times of the command's process and of parts of it, over the same rounds."""

    side: int
    """Voxels along each axis of the two scans, which are smooth noise."""
    whole: Timing
    imports: Timing
    """Of a process that imports what the command imports, and ends."""
    network: Timing
    """Of the network within the command, packing of its weights included."""

    @property
    def rest(self) -> Timing:
        """What is neither imports nor network: reading, transforms, files, picture."""
        parts = (self.whole.seconds, self.imports.seconds, self.network.seconds)
        return Timing(tuple(w - i - n for w, i, n in zip(*parts, strict=True)))


def measure_cold_start(side: int, repetitions: Repetitions) -> ColdStart:
    """Register two scans of `side` voxels a side, in a process of its own each time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scans = [_scan(folder / f"{seed}.nii.gz", side, seed) for seed in (1, 2)]
        rounds = [
            _round(scans, folder / "out") for _ in range(repetitions.fewest_rounds)
        ]
    whole, imports, network = (Timing(times) for times in zip(*rounds, strict=True))
    return ColdStart(side, whole, imports, network)


def _scan(path: Path, side: int, seed: int) -> Path:
    data = smooth_image(side, seed=seed)[0, 0].numpy()
    write(Image(data, Grid((side, side, side), np.diag([1.5, 1.5, 1.5, 1]))), path)
    return path


def _round(scans: list[Path], out: Path) -> tuple[float, float, float]:
    """Seconds of the whole command, of its imports, and of its network."""
    imports = _seconds("-c", "import voltween.cli")
    code = "from voltween.cli import main; main()"
    arguments = [*map(str, scans), "--out", str(out), "--model", _MODEL]
    whole = _seconds("-c", code, "register", *arguments)
    figures = json.loads((out / "registration.json").read_text())
    return whole, imports, figures["seconds"]["network"]


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start

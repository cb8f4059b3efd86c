"""Time of a registration by the network, from the start of its process to its files."""

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
# The noise is no head, which `voltween register` would refuse.
_REGISTER = """
import sys
from voltween import io
from voltween.models import load_model
from voltween.registration import register_by_network, write_registration
fixed, moving = map(io.read, sys.argv[1:3])
result = register_by_network(fixed, moving, load_model(sys.argv[4]))
write_registration(result, sys.argv[3])
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


def measure_cold_start(side: int, repetitions: Repetitions) -> ColdStart:
    """Registers two scans of `side` voxels per axis, each time in a new process."""
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
    """Returns the seconds of the whole command, of its imports, and of its network."""
    imports = _seconds("-c", "import voltween.cli.register")
    whole = _seconds("-c", _REGISTER, *map(str, scans), str(out), _MODEL)
    figures = json.loads((out / "registration.json").read_text(encoding="utf-8"))
    return whole, imports, figures["seconds"]["wall"]["network"]


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start

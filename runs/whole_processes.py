"""Times whole processes that register one pair of files: Voltween, greedy and ANTs.

    python runs/whole_processes.py DATA hippocampus --rounds 3
    python runs/whole_processes.py DATA brain --spacing-mm 1 --without ants
    OMP_NUM_THREADS=1 python runs/whole_processes.py DATA brain \\
        --versions FORMER/src NOW/src --only "voltween, fast" --rounds 2

DATA holds hippocampus/ and brain_ixi/. The first two `val` scans are written to files,
resampled if asked. The contenders take turns, each a process from its start to its end,
which reads both scans and writes the moved scan and the moved labels: `voltween
register` with the shipped model alone, refined (fast, accurate) and without a model;
greedy (affine, then deformable with local correlation, as `voltween compare` runs it);
antspyx with SyN. One row per contender: the median wall and processor seconds, the
largest peak memory, and the mean Dice of all structures. With `--versions`, folders
with a `voltween` each, every `voltween register` runs once per version in each round.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from shared import LabeledScan, val_scans

from voltween import io
from voltween.baselines.greedy import greedy
from voltween.metrics import dice_per_label
from voltween.spatial import Affine, Grid

SETS = {"hippocampus": "hippocampus", "brain": "brain_ixi"}
GREEDY = """
from picsl_greedy import Greedy3D
tool = Greedy3D()
for command in {commands}:
    tool.execute(command)
"""
ANTS = """
import ants
fixed, moving = (ants.image_read(f"{{side}}.nii") for side in ("fixed", "moving"))
found = ants.registration(fixed, moving, type_of_transform="SyN")
labels = ants.image_read("moving_labels.nii")
moved = ants.apply_transforms(
    fixed, labels, found["fwdtransforms"], interpolator="genericLabel"
)
ants.image_write(found["warpedmovout"], "{out}.nii.gz")
ants.image_write(moved, "{out}_labels.nii.gz")
"""


class Run(NamedTuple):
    """Time and memory that one process took, and the quality that it reached."""

    seconds: float
    processor_seconds: float
    peak_bytes: int
    dice: float


def contenders(model: str) -> dict[str, list[str]]:
    """The words of each command; `OUT` stands for the place of its results."""
    scans = ["fixed.nii", "moving.nii"]
    labels = ["--fixed-labels", "fixed_labels.nii"]
    labels += ["--moving-labels", "moving_labels.nii"]
    register = [sys.executable, "-m", "voltween", "register", *scans, *labels]
    register += ["--out", "OUT"]
    ways = {
        "network": ["--model", model, "--refine", "none"],
        "fast": ["--model", model, "--refine", "fast"],
        "accurate": ["--model", model, "--refine", "accurate"],
        "no model": ["--model", "none"],
    }
    python = [sys.executable, "-c"]
    return {
        **{f"voltween, {name}": [*register, *words] for name, words in ways.items()},
        "greedy": [*python, GREEDY.format(commands=greedy_commands("OUT"))],
        "ants": [*python, ANTS.format(out="OUT")],
    }


def greedy_commands(out: str) -> list[str]:
    """The commands of `voltween compare`, and one that moves the labels."""
    place = f"-rm moving_labels.nii {out}_labels.nii.gz -r warp.nii.gz affine.mat"
    move = f"-rf fixed.nii -ri LABEL 0.2vox {place}"
    return [f"-d 3 -V 0 {command}" for command in (*greedy.task()["commands"], move)]


def versions(
    commands: dict[str, list[str]], sources: list[Path]
) -> Iterator[tuple[str, list[str], Path | None]]:
    """Yields name, words and source of every process of a round."""
    for name, words in commands.items():
        if not sources or not name.startswith("voltween"):
            yield name, words, None
            continue
        for source in sources:
            yield f"{name}, {source}", words, source.resolve()


def measure(name: str, words: list[str], folder: Path, source: Path | None) -> Run:
    """Runs one command to its end in the folder of the files."""
    out = re.sub(r"\W+", "-", name)
    environment = os.environ | ({"PYTHONPATH": str(source)} if source else {})
    words = [word.replace("OUT", out) for word in words]
    start = time.perf_counter()
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise RuntimeError(f"{name}: {errors.decode()[-2000:]}")
    moved = folder / out / "moved_labels.nii.gz"
    labels = moved if moved.exists() else folder / f"{out}_labels.nii.gz"
    return Run(
        seconds,
        usage.ru_utime + usage.ru_stime,
        1024 * usage.ru_maxrss,
        mean_dice(folder / "fixed_labels.nii", labels),
    )


def mean_dice(fixed: Path, moved: Path) -> float:
    """Mean Dice of the structures that both files have."""
    maps = [io.read_labels(path) for path in (fixed, moved)]
    both = set(maps[0].labels) & set(maps[1].labels)
    dice = dice_per_label(maps[0].data, maps[1].data)
    return float(np.mean([dice[label] for label in both]))


def write_pair(
    scans: list[LabeledScan], folder: Path, spacing_mm: float | None
) -> None:
    """Writes two scans and their labels, with cubic voxels if a size is given."""
    for side, (image, labels) in zip(("fixed", "moving"), scans, strict=True):
        grid = image.grid if spacing_mm is None else finer(image.grid, spacing_mm)
        here = Affine.identity()
        io.write(here.resample(image, onto=grid), folder / f"{side}.nii")
        io.write(here.resample(labels, onto=grid), folder / f"{side}_labels.nii")


def finer(grid: Grid, spacing_mm: float) -> Grid:
    """The grid of another voxel size in the same place."""
    i, j, k = (
        round(n * mm / spacing_mm)
        for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)
    )
    return Grid.centered(
        (i, j, k),
        center_mm=grid.center_mm,
        spacing_mm=(spacing_mm,) * 3,
        directions=grid.affine[:3, :3] / grid.spacing_mm,
    )


def rows(given: argparse.Namespace) -> Iterator[str]:
    """The rows of the table."""
    scans = list(val_scans(given.data / SETS[given.set] / "cases.csv").values())[:2]
    yield "| process | seconds | processor seconds | peak memory, MB | Dice |"
    yield "|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        write_pair(scans, Path(folder), given.spacing_mm)
        commands = {
            name: words
            for name, words in contenders(given.set).items()
            if name not in given.without and (not given.only or name in given.only)
        }
        processes = list(versions(commands, given.versions))
        runs: dict[str, list[Run]] = {}
        for _ in range(given.rounds):
            for name, words, source in processes:
                run = measure(name, words, Path(folder), source)
                runs.setdefault(name, []).append(run)
        for name, finished in runs.items():
            yield row(name, finished)


def row(name: str, runs: list[Run]) -> str:
    """One row: medians, the largest memory, and the last Dice."""
    seconds = median(run.seconds for run in runs)
    processor = median(run.processor_seconds for run in runs)
    peak = max(run.peak_bytes for run in runs) / 1e6
    figures = f"{seconds:.1f} | {processor:.1f} | {peak:.0f} | {runs[-1].dice:.4f}"
    return f"| {name} | {figures} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--spacing-mm", type=float)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="+", default=[], metavar="PROCESS")
    parser.add_argument("--only", nargs="+", default=[], metavar="PROCESS")
    parser.add_argument("--versions", nargs="+", type=Path, default=[])
    for line in rows(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()

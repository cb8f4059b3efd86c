"""How well and how fast ANTs registers the `val` pairs of a cohort.

    pip install voltween[baselines]
    python runs/ants_baseline.py hippocampus/cases.csv --out ants_hippocampus --pairs 20

The pairs are those of `voltween evaluate --max-pairs N`. ANTs gets the scans as they
are stored (own grids and worlds, raw intensities) and its own defaults. Each pair is a
row of pairs.csv in the output folder, written as soon as it is done: a run that was
stopped goes on where it was.

- dice_before, dice, iou: means over the labels that both scans have, on the fixed
  scan's grid, labels by nearest neighbour, as `voltween evaluate` measures them;
  "before" is the identity in world coordinates.
- folding_percent: share of the fixed scan's voxels at which the Jacobian determinant
  (central differences) of affine and deformation together is not positive.
- seconds: of `ants.registration` alone, which also makes the moved image; no reading of
  files. processor_seconds: the same summed over threads, which says more than seconds
  on a machine that does other work too.
"""

import csv
import os
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import ants
import numpy as np
import tyro

from voltween import io
from voltween.data import Case, cases_of_split, load_case, read_manifest
from voltween.evaluate import chosen_pairs
from voltween.metrics import dice_per_label, iou_from_dice
from voltween.transform import Affine

SEED = 1
MEASURES = ("dice_before", "dice", "iou", "folding_percent")
TIMES = ("seconds", "processor_seconds")


@dataclass(frozen=True)
class Row:
    """One registered pair."""

    fixed: str
    moving: str
    dice_before: float
    dice: float
    iou: float
    folding_percent: float
    seconds: float
    processor_seconds: float
    threads: int
    type: str
    antspyx: str


@dataclass(frozen=True)
class AntsBaseline:
    """Register `val` pairs with ANTs and measure."""

    manifest: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases, with labels."""
    out: Path
    """Folder for pairs.csv."""
    pairs: int = 20
    """How many of the ordered pairs, drawn by the seed of `voltween evaluate`; 0 is
    all."""
    type: str = "SyN"
    """ANTs' `type_of_transform`."""
    window: tuple[float, float] | None = None
    """Stored intensities beyond these are clipped, the lower becomes 0: a help for
    ANTs with CT, none of its defaults."""

    @property
    def setting(self) -> str:
        """What stands in the column `type`."""
        if self.window is None:
            return self.type
        return f"{self.type}, window {self.window[0]:g} to {self.window[1]:g}"

    def run(self) -> None:
        """Register what is not in pairs.csv yet, and print a summary."""
        # The affine stage samples the images at random; one thread or many is left to
        # the environment.
        ants.config.set_ants_deterministic(False, SEED)
        cases = {c.name: c for c in cases_of_split(read_manifest(self.manifest), "val")}
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "pairs.csv"
        pairs = chosen_pairs(list(cases), self.pairs)
        done = {(row["fixed"], row["moving"]) for row in rows_of(path, self.setting)}
        for fixed, moving in pairs:
            if (fixed, moving) not in done:
                append(path, measured(cases[fixed], cases[moving], self))
        print_summary(rows_of(path, self.setting), pairs)


def measured(fixed: Case, moving: Case, how: AntsBaseline) -> Row:
    """One pair registered and measured."""
    after, found = registered(fixed, moving, how)
    fixed_labels, moving_labels = load_case(fixed)[1], load_case(moving)[1]
    shared = set(fixed_labels.labels) & set(moving_labels.labels)
    before = Affine.identity().resample(moving_labels, onto=fixed_labels.grid).data
    dice = dice_of(fixed_labels.data, after, shared)
    return Row(
        fixed=fixed.name,
        moving=moving.name,
        dice_before=float(np.mean(dice_of(fixed_labels.data, before, shared))),
        dice=float(np.mean(dice)),
        iou=float(np.mean([iou_from_dice(value) for value in dice])),
        **found,
        threads=threads(),
        type=how.setting,
        antspyx=version("antspyx"),
    )


def registered(
    fixed: Case, moving: Case, how: AntsBaseline
) -> tuple[np.ndarray, dict[str, float]]:
    """The moved labels on the fixed scan's grid; folding and times."""
    images = [read_image(case.image, how.window) for case in (fixed, moving)]
    labels = ants.image_read(str(moving.labels))
    with tempfile.TemporaryDirectory() as folder:
        clocks = time.perf_counter(), time.process_time()
        result = ants.registration(
            *images, type_of_transform=how.type, outprefix=f"{folder}/"
        )
        found = {
            "seconds": time.perf_counter() - clocks[0],
            "processor_seconds": time.process_time() - clocks[1],
        }
        transforms = result["fwdtransforms"]
        moved = ants.apply_transforms(
            images[0], labels, transforms, interpolator="nearestNeighbor"
        )
        field = ants.apply_transforms(*images, transforms, compose=f"{folder}/all")
        found["folding_percent"] = io.read_transform(field).folding_percent()
    return moved.numpy().round().astype(np.int32), found


def read_image(path: Path, window: tuple[float, float] | None) -> ants.ANTsImage:
    """The scan as ANTs reads it; clipped and moved to 0 if there is a window."""
    image = ants.image_read(str(path))
    if window is None:
        return image
    return image.new_image_like(image.numpy().clip(*window) - window[0])


def dice_of(fixed: np.ndarray, moved: np.ndarray, labels: set[int]) -> list[float]:
    """Dice of each of the labels."""
    per_label = dice_per_label(fixed.astype(np.int32), moved.astype(np.int32))
    return [per_label[label] for label in sorted(labels)]


def threads() -> int:
    """How many threads ITK takes."""
    allowed = os.environ.get("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
    return int(allowed) if allowed else len(os.sched_getaffinity(0))


def rows_of(path: Path, setting: str) -> list[dict[str, str]]:
    """The rows written so far with this setting."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [r for r in csv.DictReader(file) if r["type"] == setting]


def append(path: Path, row: Row) -> None:
    """Add a row, and the heading if it is the first; say how it went."""
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(row))
    print(
        f"{row.fixed} <- {row.moving}: Dice {row.dice_before:.3f} to {row.dice:.3f}, "
        f"folding {row.folding_percent:.3g} %, {row.seconds:.1f} s",
        flush=True,
    )


def print_summary(rows: list[dict[str, str]], pairs: list[tuple[str, str]]) -> None:
    """Mean, SD and median of everything measured over the chosen pairs."""
    rows = [row for row in rows if (row["fixed"], row["moving"]) in pairs]
    print(
        f"{len(rows)} pairs, antspyx {rows[0]['antspyx']}, {rows[0]['type']}, threads "
        f"{sorted({row['threads'] for row in rows})}"
    )
    for name in (*MEASURES, *TIMES):
        values = np.array([float(row[name]) for row in rows])
        print(
            f"{name}: mean {values.mean():.4g}, SD {values.std():.3g}, "
            f"median {np.median(values):.4g}, from {values.min():.4g} "
            f"to {values.max():.4g}"
        )


if __name__ == "__main__":
    tyro.cli(AntsBaseline).run()

"""Tests at equal time whether a network learns from its own refined flows.

    python runs/teacher.py MANIFEST --out DIR [--steps 600] [--pairs 40] [--seeds 0]

Trains the small network of runs/ablations.py ("overlap, flow multiplier 10"), with and
without labels. Every arm but one has the processor seconds that `--steps` steps take:

  alone          trains for all of them
  first part     trains for half of them; the others continue from there
  in two parts   continues for the rest
  taught, W      computes target flows with the network so far and refines them on
                 `--pairs` pairs; then continues for the rest, with the end-point error
                 of weight W added

Measured on 200 pairs of `val` cases on the network's grid. Writes teacher.csv and
prints its rows. DIR must not exist yet. Seconds are processor time: set
OMP_NUM_THREADS=1.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from shared import (
    WITH_OVERLAP_AND_LARGER_FLOWS,
    Manifest,
    measure_best,
    write_rows,
)

from voltween.cohorts import cases_of_split, read_manifest
from voltween.metrics import dice_per_label
from voltween.models import load_model
from voltween.ops import warp_nearest
from voltween.training import train
from voltween.training.samples import store_samples
from voltween.training.targets import TargetFlows, target_pairs
from voltween.training.teachers import teacher_named
from voltween.training.validation import measure_stages, validation_pairs

EFFORT = "accurate"
WEIGHTS = (1e-6, 0.1, 0.5)  # the first: effect of the pairs without flows
JUDGED = 20  # pairs on which the teacher itself is measured


def recipes():
    """With labels and without."""
    labels = WITH_OVERLAP_AND_LARGER_FLOWS
    objective = replace(labels.training.objective, overlap=())
    yield "labels", labels
    yield (
        "no labels",
        replace(labels, training=replace(labels.training, objective=objective)),
    )


class Trial:
    """All arms of one recipe and seed, with their results and seconds."""

    def __init__(self, cases, recipe, *, out, cache):
        self.cases, self.recipe, self.out, self.cache = cases, recipe, out, cache
        self.train, self.val = (
            store_samples(cases_of_split(cases, split), recipe.preprocessing, cache)
            for split in ("train", "val")
        )

    def run(self, steps, pairs):
        """Name, seconds, steps and best model of every arm."""
        self.train_arm("warm-up", 1)  # imports and caching count for no arm
        best, whole = self.train_arm("alone", steps)
        yield "alone", whole, steps, best
        half, first = self.train_arm("first part", steps // 2)
        yield "first part", first, steps // 2, half
        per_step = first / (steps // 2)
        rest = round((whole - first) / per_step)
        best, second = self.train_arm("second part", rest, start_from=str(half))
        yield "in two parts", first + second, steps // 2 + rest, best
        teacher = f"{half}+{EFFORT}"
        made = self.make_targets(teacher, pairs)
        rest = max(1, round((whole - first - made) / per_step))
        print(f"teacher: {made:.0f} s for {pairs} pairs, {self.judge(teacher)}")
        for weight in WEIGHTS:
            best, second = self.train_arm(
                f"taught, {weight}",
                rest,
                start_from=str(half),
                teacher=teacher,
                target_pairs=pairs,
                objective=replace(
                    self.recipe.training.objective, end_point_error=weight
                ),
            )
            yield f"taught, {weight}", first + made + second, steps // 2 + rest, best

    def train_arm(self, name, steps, **changes):
        """Trains; returns the best model and the seconds."""
        training = replace(
            self.recipe.training, steps=steps, validate_every=steps, **changes
        )
        recipe = replace(self.recipe, training=training)
        start = time.process_time()
        best = train(self.cases, recipe, out=self.out / name, cache=self.cache)
        return best, time.process_time() - start

    def make_targets(self, teacher, pairs):
        """Computes all target flows that training needs; returns the seconds."""
        start = time.process_time()
        flows = TargetFlows(
            self.train,
            target_pairs(len(self.train), pairs, self.recipe.training.seed),
            teacher_named(teacher, self.recipe.preprocessing),
            self.cache / "targets",
        )
        for number in range(pairs):
            flows.flow(number)
        return time.process_time() - start

    def judge(self, name):
        """Text with the Dice of teacher and pupil on the same pairs of `val` cases."""
        pairs = validation_pairs(self.val, JUDGED)
        teacher = teacher_named(name, self.recipe.preprocessing)
        taught = [self.dice(teacher, self.val[f], self.val[m]) for f, m in pairs]
        network = load_model(teacher.model).network
        pupil = measure_stages(network, self.val, pairs)[:, -1, 0]
        return f"Dice {np.mean(taught):.4f} on {JUDGED} pairs, pupil {pupil.mean():.4f}"

    @staticmethod
    def dice(teacher, fixed, moving):
        flow = teacher.flow(fixed.image, moving.image)[None]
        moved = warp_nearest(moving.labels[None].float(), flow)[0, 0].int()
        shared = set(fixed.labels.unique().tolist()) & set(
            moving.labels.unique().tolist()
        )
        per_label = dice_per_label(fixed.labels[0].numpy(), moved.numpy())
        return np.mean([per_label[label] for label in shared - {0}])


@dataclass(frozen=True)
class Teacher:
    """Train and measure all arms."""

    manifest: Manifest
    """CSV of cases, with labels."""
    out: Path
    """Folder for the runs and teacher.csv; must not exist yet."""
    steps: int = 600
    """Training steps whose time every arm gets."""
    pairs: int = 40
    """Pairs with target flows."""
    seeds: tuple[int, ...] = (0,)
    """Seeds per recipe."""

    def run(self) -> None:
        """Train, measure, write, print."""
        self.out.mkdir(parents=True)
        cases = read_manifest(self.manifest)
        rows: list[dict] = []
        for seed in self.seeds:
            for name, recipe in recipes():
                for row in self._rows(name, seed, recipe, cases):
                    rows.append(row)
                    write_rows(rows, self.out / "teacher.csv")
                    print(*row.values(), sep=" | ", flush=True)

    def _rows(self, name, seed, recipe, cases):
        """One row per arm."""
        cache = self.out / "cache"
        training = replace(recipe.training, seed=seed, validation_pairs=20)
        seeded = replace(recipe, training=training)
        trial = Trial(cases, seeded, out=self.out / f"{name} {seed}", cache=cache)
        for arm, seconds, steps, best in trial.run(self.steps, self.pairs):
            last = measure_best(cases, seeded, best, cache)[-1]
            yield {
                "recipe": name,
                "seed": seed,
                "arm": arm,
                "seconds": round(seconds, 1),
                "steps": steps,
                "dice": round(last.dice, 4),
                "folding_percent": round(last.folding_percent, 4),
            }


if __name__ == "__main__":
    tyro.cli(Teacher).run()

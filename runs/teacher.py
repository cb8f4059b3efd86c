"""Does a network learn from its own flows, polished on some pairs? At equal time.

Usage: python runs/teacher.py MANIFEST --out DIR [--steps 600] [--pairs 40] [--seeds 0]

The small network of runs/ablations.py ("overlap, flow multiplier 10"), with labels and
without. Every arm but one has the processor seconds that `--steps` steps take:

  alone          all of them
  first part     half of them, from which the others go on
  in two parts   half of them, then the rest from there
  taught, W      half of them, then target flows by the network reached so far, refined
                 on `--pairs` pairs; then the rest from there, with the end-point error
                 weighted W added

Measured on 200 pairs of `val` cases on the network's grid. Writes teacher.csv, and
prints its rows. Seconds are of the process, for a DIR that is not there yet: give
OMP_NUM_THREADS=1.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from ablations import measured, variants, write

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
WEIGHTS = (1e-6, 0.1, 0.5)  # the first: what the pairs do without their flows
JUDGED = 20  # pairs on which the teacher itself is measured


def recipes():
    """With labels and without."""
    labels = dict(variants())["overlap, flow multiplier 10"]
    objective = replace(labels.training.objective, overlap=())
    yield "labels", labels
    yield (
        "no labels",
        replace(labels, training=replace(labels.training, objective=objective)),
    )


class Trial:
    """A recipe and a seed: what every arm of it reaches, and the seconds it took."""

    def __init__(self, cases, recipe, *, out, cache):
        self.cases, self.recipe, self.out, self.cache = cases, recipe, out, cache
        self.train, self.val = (
            store_samples(cases_of_split(cases, split), recipe.preprocessing, cache)
            for split in ("train", "val")
        )

    def run(self, steps, pairs):
        """Name, seconds, steps and best model of every arm."""
        self.trained("warm-up", 1)  # imports, and what is cached, are of no arm
        best, whole = self.trained("alone", steps)
        yield "alone", whole, steps, best
        half, first = self.trained("first part", steps // 2)
        yield "first part", first, steps // 2, half
        per_step = first / (steps // 2)
        rest = round((whole - first) / per_step)
        best, second = self.trained("second part", rest, start_from=str(half))
        yield "in two parts", first + second, steps // 2 + rest, best
        teacher = f"{half}+{EFFORT}"
        made = self.made(teacher, pairs)
        rest = max(1, round((whole - first - made) / per_step))
        print(f"teacher: {made:.0f} s for {pairs} pairs, {self.judged(teacher)}")
        for weight in WEIGHTS:
            best, second = self.trained(
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

    def trained(self, name, steps, **changes):
        """The best model and the seconds it took."""
        training = replace(
            self.recipe.training, steps=steps, validate_every=steps, **changes
        )
        recipe = replace(self.recipe, training=training)
        start = time.process_time()
        best = train(self.cases, recipe, out=self.out / name, cache=self.cache)
        return best, time.process_time() - start

    def made(self, teacher, pairs):
        """Seconds to have all flows made that training will ask for."""
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

    def judged(self, name):
        """Dice of teacher and pupil on the same pairs of `val` cases, in words."""
        pairs = validation_pairs(self.val, JUDGED)
        teacher = teacher_named(name, self.recipe.preprocessing)
        found = [self.dice(teacher, self.val[f], self.val[m]) for f, m in pairs]
        network = load_model(teacher.model).network
        own = measure_stages(network, self.val, pairs)[:, -1, 0]
        return f"Dice {np.mean(found):.4f} on {JUDGED} pairs, pupil {own.mean():.4f}"

    @staticmethod
    def dice(teacher, fixed, moving):
        flow = teacher.flow(fixed.image, moving.image)[None]
        moved = warp_nearest(moving.labels[None].float(), flow)[0, 0].int()
        shared = set(fixed.labels.unique().tolist()) & set(
            moving.labels.unique().tolist()
        )
        found = dice_per_label(fixed.labels[0].numpy(), moved.numpy())
        return np.mean([found[label] for label in shared - {0}])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    cases = read_manifest(arguments.manifest)
    cache = arguments.out / "cache"
    rows = []
    for seed in arguments.seeds:
        for name, recipe in recipes():
            training = replace(recipe.training, seed=seed, validation_pairs=20)
            seeded = replace(recipe, training=training)
            out = arguments.out / f"{name} {seed}"
            trial = Trial(cases, seeded, out=out, cache=cache)
            for arm, seconds, steps, best in trial.run(
                arguments.steps, arguments.pairs
            ):
                last = measured(cases, seeded, best, cache)[-1]
                rows.append(
                    {
                        "recipe": name,
                        "seed": seed,
                        "arm": arm,
                        "seconds": round(seconds, 1),
                        "steps": steps,
                        "dice": round(last.dice, 4),
                        "folding_percent": round(last.folding_percent, 4),
                    }
                )
                write(rows, arguments.out / "teacher.csv")
                print(*rows[-1].values(), sep=" | ", flush=True)


if __name__ == "__main__":
    main()

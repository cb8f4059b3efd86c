"""Measures the open points of the paper and the order of its cascades on a small grid.

    python runs/ablations.py MANIFEST --out DIR [--only NAME ...] [--steps 600]

Every variant is trained for the same steps with the same seeds, and measured on 200
pairs of `val` cases on the network's grid. A variant that exists already is not trained
again. Writes ablations.csv and prints a table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from shared import (
    AUGMENTATION,
    BASE,
    CASCADE,
    TRAINING,
    WITH_OVERLAP,
    WITH_OVERLAP_AND_LARGER_FLOWS,
    Manifest,
    measure_best,
    write_rows,
)

from voltween.cohorts import Case, read_manifest
from voltween.models import Model, save_model
from voltween.networks import VolumeTweeningNetwork
from voltween.networks.blocks import initialize
from voltween.training import SUPERVISED, Objective, Recipe, train
from voltween.training.objective import RCN

RANDOM_LAYERS = "last layer random"


@dataclass(frozen=True)
class Ablations:
    """Train and measure the variants."""

    manifest: Manifest
    """CSV of cases, with labels."""
    out: Path
    """Folder for the runs and ablations.csv."""
    only: tuple[str, ...] = ()
    """Names of variants; default: all."""
    steps: int = 600
    """Training steps per variant."""
    seeds: tuple[int, ...] = (0, 1)
    """Seeds per variant."""

    def run(self) -> None:
        """Train, measure, write, print."""
        cases = read_manifest(self.manifest)
        rows: list[dict] = []
        for name, recipe in variants():
            if self.only and name not in self.only:
                continue
            for seed in self.seeds:
                rows += self._rows(name, seed, recipe, cases)
                write_rows(rows, self.out / "ablations.csv")
        print_table(rows)

    def _rows(
        self, name: str, seed: int, recipe: Recipe, cases: Sequence[Case]
    ) -> list[dict]:
        folder = self.out / f"{name} {seed}"
        folder.mkdir(parents=True, exist_ok=True)
        training = replace(
            recipe.training, steps=self.steps, validate_every=self.steps, seed=seed
        )
        seeded = replace(recipe, training=training)
        if name == RANDOM_LAYERS:
            seeded = with_random_last_layers(seeded, folder / "start.safetensors")
        cache = self.out / "cache"
        best = train(cases, seeded, out=folder, cache=cache)
        return list(rows_of(name, seed, measure_best(cases, seeded, best, cache)))


def variants() -> Iterator[tuple[str, Recipe]]:
    """Name and recipe; the base is the paper's, ADD."""

    def cascade(**changes):
        return replace(BASE, network=replace(CASCADE, **changes))

    def objective(**changes):
        return replace(
            BASE, training=replace(TRAINING, objective=replace(Objective(), **changes))
        )

    def augmentation(**changes):
        changed = replace(AUGMENTATION, **changes)
        return replace(BASE, training=replace(TRAINING, augmentation=changed))

    yield "base (ADD)", BASE
    yield "D", cascade(stages="D")
    yield "AD", cascade(stages="AD")
    yield "affine similarity 0", objective(affine_similarity=0.0)
    yield "affine to 2^3", cascade(affine_levels=4)
    yield RANDOM_LAYERS, BASE
    yield "flow multiplier 10", cascade(flow_multiplier=10.0)
    yield "both deformed", augmentation(deforms_fixed=True)
    yield "invertibility 0.01", objective(invertibility=0.01)
    yield "local correlation", objective(last_similarity="local correlation")
    yield "overlap 2, 0, 0.5", WITH_OVERLAP
    yield "overlap, flow multiplier 10", WITH_OVERLAP_AND_LARGER_FLOWS
    yield "supervised", replace(BASE, training=replace(TRAINING, objective=SUPERVISED))
    none = {"displacement": 0.0, "rotation_degrees": 0.0, "scaling": 0.0}
    yield "none deformed", augmentation(translation=0.0, **none)
    yield "RCN weights", replace(BASE, training=replace(TRAINING, objective=RCN))
    yield "DD", cascade(stages="DD")
    yield "ADDD", cascade(stages="ADDD")


def with_random_last_layers(recipe: Recipe, path: Path) -> Recipe:
    """The recipe, started from a network whose first flows are not 0."""
    torch.manual_seed(recipe.training.seed)
    network = VolumeTweeningNetwork(recipe.network)
    for dense in network.dense:
        initialize(dense.flow)
    model = Model("start", network, recipe.preprocessing, {})
    save_model(model, path, is_half=False)
    return replace(recipe, training=replace(recipe.training, start_from=str(path)))


def rows_of(name: str, seed: int, stages) -> Iterator[dict]:
    """One row per stage."""
    for stage in stages:
        yield {
            "variant": name,
            "seed": seed,
            "stage": stage.stage,
            "dice": round(stage.dice, 4),
            "correlation": round(stage.correlation, 4),
            "folding_percent": round(stage.folding_percent, 4),
        }


def print_table(rows: Sequence[dict]) -> None:
    """Prints one line per variant, with means over the seeds."""
    print("| variant | affine | last stage | of the seeds | folding % |")
    print("|---|---|---|---|---|")
    for name in dict.fromkeys(row["variant"] for row in rows):
        of_name = [row for row in rows if row["variant"] == name]
        last = {row["seed"]: row for row in of_name}.values()  # stages come in order
        affine = [float(row["dice"]) for row in of_name if row["stage"] == "affine"]
        dice = [float(row["dice"]) for row in last]
        folding = np.mean([float(row["folding_percent"]) for row in last])
        first = f"{np.mean(affine):.3f}" if affine else "-"
        each = ", ".join(f"{value:.3f}" for value in dice)
        print(f"| {name} | {first} | {np.mean(dice):.3f} | {each} | {folding:.3f} |")


if __name__ == "__main__":
    tyro.cli(Ablations).run()

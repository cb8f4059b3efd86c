"""The open points of the paper, and the order of its cascades, on a small grid.

Usage: python runs/ablations.py MANIFEST --out DIR [--only NAME ...] [--steps 600]

Every variant is trained for the same steps with the same seeds, and measured on 200
pairs of `val` cases on the network's grid. A variant that is there already is not
trained again. Writes ablations.csv and prints a table.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from voltween.cohorts import read_manifest
from voltween.models import Model, load_model, save_model
from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.networks.blocks import initialize
from voltween.preprocessing import Preprocessing
from voltween.training import (
    SUPERVISED,
    Augmentation,
    Objective,
    Recipe,
    TrainConfig,
    train,
)
from voltween.training.objective import RCN
from voltween.training.samples import store_samples
from voltween.training.validation import measure_stages, stage_means, validation_pairs

PAIRS = 200
SHAPE = (32, 32, 32)
PREPROCESSING = Preprocessing(SHAPE, (2.0, 2.0, 2.0))
AUGMENTATION = Augmentation(
    displacement=0.05, rotation_degrees=15.0, scaling=0.1, translation=0.08, gamma=0.3
)
# 4 halvings end at 2^3, as 6 do from the paper's 128^3; the affine one ends at 4^3.
CASCADE = CascadeConfig("ADD", SHAPE, channels=8, levels=4, affine_levels=3)
TRAINING = TrainConfig(
    learning_rate=5e-4, augmentation=AUGMENTATION, validation_pairs=100, kept_states=1
)
BASE = Recipe(PREPROCESSING, CASCADE, TRAINING)


def variants():
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
    yield "last layer random", BASE
    yield "flow multiplier 10", cascade(flow_multiplier=10.0)
    yield "both deformed", augmentation(deforms_fixed=True)
    yield "invertibility 0.01", objective(invertibility=0.01)
    yield "local correlation", objective(last_similarity="local correlation")
    with_overlap = objective(
        last_similarity="local correlation", overlap=(2.0, 0.0, 0.5)
    )
    yield "overlap 2, 0, 0.5", with_overlap
    yield (
        "overlap, flow multiplier 10",
        replace(with_overlap, network=replace(CASCADE, flow_multiplier=10.0)),
    )
    yield "supervised", replace(BASE, training=replace(TRAINING, objective=SUPERVISED))
    none = {"displacement": 0.0, "rotation_degrees": 0.0, "scaling": 0.0}
    yield "none deformed", augmentation(translation=0.0, **none)
    yield "RCN weights", replace(BASE, training=replace(TRAINING, objective=RCN))
    yield "DD", cascade(stages="DD")
    yield "ADDD", cascade(stages="ADDD")


def with_random_last_layers(recipe, path):
    """The recipe, started from a network whose first flows are not 0."""
    torch.manual_seed(recipe.training.seed)
    network = VolumeTweeningNetwork(recipe.network)
    for dense in network.dense:
        initialize(dense.flow)
    model = Model("start", network, recipe.preprocessing, {})
    save_model(model, path, is_half=False)
    return replace(recipe, training=replace(recipe.training, start_from=str(path)))


def measured(cases, recipe, best, cache):
    """Means after each stage over all pairs of `val` cases."""
    val = [case for case in cases if case.split == "val"]
    samples = store_samples(val, recipe.preprocessing, cache)
    pairs = validation_pairs(samples, PAIRS)
    network = load_model(best).network
    figures = measure_stages(network, samples, pairs)
    return stage_means(figures, recipe.network.stage_names)


def rows_of(name, seed, stages):
    for stage in stages:
        yield {
            "variant": name,
            "seed": seed,
            "stage": stage.stage,
            "dice": round(stage.dice, 4),
            "correlation": round(stage.correlation, 4),
            "folding_percent": round(stage.folding_percent, 4),
        }


def write(rows, path):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def table(rows):
    print("| variant | affine | last stage | of the seeds | folding % |")
    print("|---|---|---|---|---|")
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        last = {row["seed"]: row for row in own}.values()  # stages come in order
        affine = [float(row["dice"]) for row in own if row["stage"] == "affine"]
        dice = [float(row["dice"]) for row in last]
        folding = np.mean([float(row["folding_percent"]) for row in last])
        first = f"{np.mean(affine):.3f}" if affine else "-"
        each = ", ".join(f"{value:.3f}" for value in dice)
        print(f"| {name} | {first} | {np.mean(dice):.3f} | {each} | {folding:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    arguments = parser.parse_args()
    cases = read_manifest(arguments.manifest)
    rows = []
    for name, recipe in variants():
        if arguments.only and name not in arguments.only:
            continue
        for seed in arguments.seeds:
            folder = arguments.out / f"{name} {seed}"
            folder.mkdir(parents=True, exist_ok=True)
            training = replace(
                recipe.training,
                steps=arguments.steps,
                validate_every=arguments.steps,
                seed=seed,
            )
            seeded = replace(recipe, training=training)
            if name == "last layer random":
                seeded = with_random_last_layers(seeded, folder / "start.safetensors")
            cache = arguments.out / "cache"
            best = train(cases, seeded, out=folder, cache=cache)
            rows += rows_of(name, seed, measured(cases, seeded, best, cache))
            write(rows, arguments.out / "ablations.csv")
    table(rows)


if __name__ == "__main__":
    main()

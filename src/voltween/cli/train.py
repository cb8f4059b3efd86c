"""Command: train a network, from a plan or from a manifest and options."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import read_manifest
from voltween.training import (
    Hardware,
    TrainConfig,
    TrainingOptions,
    default_training,
    read_recipe,
    train,
    try_training,
)


@dataclass(frozen=True)
class Train:
    """Train a network on the `train` cases of a cohort, choosing on its `val` cases.

    Give a plan (see `voltween plan`), or a manifest and settings as options: a CSV with
    columns case, image, split (train, val, test), and maybe labels and points. A run
    that was cut short resumes from its latest state: give the same command again. The
    best model is best.safetensors in the folder.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST_OR_PLAN")]
    """CSV of cases, or TOML of settings, which then come from there alone."""
    out: Path
    """Folder of the run."""
    options: Annotated[TrainingOptions, tyro.conf.arg(name="")] = field(
        default_factory=TrainingOptions
    )
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=lambda: default_training("vtn")
    )
    dry_run: bool = False
    """Only read all scans, take a few steps, and report what the training will need."""
    cache: Path | None = None
    """Folder where scans are kept on the network's grid; in --out if not given."""
    hardware: Annotated[Hardware, tyro.conf.arg(name="")] = field(
        default_factory=Hardware
    )

    def run(self) -> None:
        """Trains, or tries the training."""
        logging.getLogger("voltween").setLevel(logging.INFO)
        manifest, recipe = read_recipe(self.source, self.options, self.training)
        cases = read_manifest(manifest)
        run: dict[str, Any] = {
            "out": self.out,
            "cache": self.cache,
            "hardware": self.hardware,
        }
        if self.dry_run:
            needs = try_training(cases, recipe, **run)
            if console.is_first_process():
                console.show_dry_run(needs)
            return
        with console.training_progress(recipe.training.steps) as on_step:
            best = train(cases, recipe, on_step=on_step, **run)
        if console.is_first_process():
            console.console.print(f"The best model is {best}")


def train_command(command: Train) -> Callable[..., Train]:
    """`Train` with the defaults of the network that a first reading found."""
    return partial(
        Train,
        options=TrainingOptions(),
        training=default_training(command.options.network),
        hardware=Hardware(),
    )

"""Command: train a network."""

import argparse
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console, is_first_process
from voltween.cohorts import cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.networks import CascadeConfig, NetworkConfig, VoxelMorphConfig
from voltween.preprocessing import Placement, Preprocessing
from voltween.training import (
    FLOW_MULTIPLIER,
    SUPERVISED,
    VOXELMORPH_TRAINING,
    DryRun,
    Hardware,
    Recipe,
    StageValidation,
    StepReport,
    TrainConfig,
    fit_preprocessing,
    read_plan,
    train,
    try_training,
)

NetworkName = Literal["vtn", "voxelmorph-2"]

_TRAINING: dict[NetworkName, TrainConfig] = {
    "vtn": TrainConfig(),
    "voxelmorph-2": VOXELMORPH_TRAINING,
}

_OF_CASCADES = ("cascade", "channels", "levels", "flow_multiplier")

_BESIDE_A_PLAN = (
    "source",
    "out",
    "dry_run",
    "cache",
    "hardware",
)  # options of `train` that a plan says nothing of


@dataclass(frozen=True)
class Train:
    """Train a network on the `train` cases of a cohort.

    Give a plan (see `voltween plan`), or a manifest and settings as options. A manifest
    is a CSV with the columns case, image, split (train, val, test), and optionally
    labels and points. The `val` cases choose the best model, which is best.safetensors
    in the folder. Repeat the command to continue an interrupted run.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST_OR_PLAN")]
    """CSV of cases, or a TOML plan, which then gives all settings."""
    out: Path
    """Folder of the run."""
    network: NetworkName = "vtn"
    """vtn: the cascade. voxelmorph-2: for comparison (needs voltween[baselines]), by
    default 5000 steps of 4 pairs with its authors' objective."""
    cascade: str = "ADD"
    """Subnetworks: at most one A (affine), then any number of D (dense)."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the network's grid along R, A, S; fitted to the cohort if not given."""
    spacing_mm: tuple[float, float, float] | None = None
    """Voxel size of that grid; fitted to the cohort if not given."""
    placement: Placement = "grid centre"
    """Position of the grid on each scan: the center of the scan, the upper part of a
    head, or the center of the foreground."""
    hounsfield_window: tuple[float, float] | None = None
    """For CT: the Hounsfield units that are mapped to 0 and 1, such as -300 700."""
    channels: int = 16
    """Channels after the first halving."""
    levels: int = 6
    """Halvings of the grid, fewer if its shape does not allow as many."""
    flow_multiplier: float = FLOW_MULTIPLIER
    """Factor on the output of every dense subnetwork, which scales how fast flows
    grow."""
    supervised: bool = False
    """Learn flows computed by ANTs (needs voltween[baselines]), with the weights of the
    paper's supervised training and no other losses."""
    dry_run: bool = False
    """Only read all scans, take a few steps, and report what the training needs."""
    cache: Path | None = None
    """Folder for scans on the network's grid; if not given, a folder in --out."""
    hardware: Annotated[Hardware, tyro.conf.arg(name="")] = field(
        default_factory=Hardware
    )
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=TrainConfig
    )

    def run(self) -> None:
        """Train, or report what the training needs."""
        logging.getLogger("voltween").setLevel(logging.INFO)
        is_plan = self.source.suffix == ".toml"
        manifest, recipe = self._from_plan() if is_plan else self._from_options()
        cases = read_manifest(manifest)
        run: dict[str, Any] = {
            "out": self.out,
            "cache": self.cache,
            "hardware": self.hardware,
        }
        if self.dry_run:
            needs = try_training(cases, recipe, **run)
            if is_first_process():
                _show_needs(needs)
            return
        with _progress(recipe.training.steps) as on_step:
            best = train(cases, recipe, on_step=on_step, **run)
        if is_first_process():
            console.print(f"The best model is {best}")

    def _from_plan(self) -> tuple[Path, Recipe]:
        if self.network != "vtn":
            raise InputError(
                f"{self.source}: a plan is of a cascade, got --network {self.network}: "
                "give the manifest, and settings as options"
            )
        changed = [o for o in self._changed_options() if o not in _BESIDE_A_PLAN]
        if changed:
            raise InputError(
                f"{_as_typed(changed)}: settings come from {self.source}: change them "
                "there"
            )
        plan = read_plan(self.source)
        return plan.manifest, plan.recipe

    def _changed_options(self) -> list[str]:
        """Names of the options that differ from their defaults."""
        default = Train(self.source, self.out, training=_TRAINING[self.network])
        return [
            item.name
            for here, there in ((self, default), (self.training, default.training))
            for item in fields(here)
            if item.name != "training"
            and getattr(here, item.name) != getattr(there, item.name)
        ]

    def _from_options(self) -> tuple[Path, Recipe]:
        cases = read_manifest(self.source)
        fitted = fit_preprocessing(cases_of_split(cases, "train"))
        preprocessing = Preprocessing(
            shape=self.shape or fitted.shape,
            spacing_mm=self.spacing_mm or fitted.spacing_mm,
            placement=self.placement,
            hounsfield_window=self.hounsfield_window,
        )
        training = self.training
        if self.supervised:
            training = replace(training, objective=SUPERVISED)
        network = self._network(preprocessing.shape)
        return self.source, Recipe(preprocessing, network, training)

    def _network(self, shape: tuple[int, int, int]) -> NetworkConfig:
        if self.network == "vtn":
            return CascadeConfig(
                self.cascade,
                shape,
                channels=self.channels,
                levels=self.levels,
                flow_multiplier=self.flow_multiplier,
            )
        changed = [o for o in self._changed_options() if o in _OF_CASCADES]
        if changed:
            raise InputError(
                f"{_as_typed(changed)}: of cascades alone, got --network "
                f"{self.network}: leave out what the network does not have"
            )
        return VoxelMorphConfig(shape)


def command_for(words: Sequence[str]) -> Callable[..., Train]:
    """`Train` with the defaults of the network that the options name."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--network", nargs="?")
    network = parser.parse_known_args(list(words))[0].network
    training = _TRAINING.get(network, _TRAINING["vtn"])
    return partial(Train, training=training, hardware=Hardware())


def _as_typed(options: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)


@contextmanager
def _progress(steps: int) -> Iterator[Callable[[StepReport], None]]:
    """Shows a progress bar with the time left; yields the function to call per step.

    Of several training processes on one machine, only the first shows it.
    """
    columns = (
        TextColumn("step"),
        MofNCompleteColumn(),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(
        *columns, console=console, disable=not is_first_process()
    ) as progress:
        task = progress.add_task("", total=steps)
        recent: list[float] = []

        def on_step(report: StepReport) -> None:
            recent.append(sum(report.losses.values()))
            loss = float(np.mean(recent[-50:]))
            progress.update(task, completed=report.step, description=f"loss {loss:.4f}")
            for stage in report.stages:
                progress.print(stage_line(report.step, stage))

        yield on_step


def stage_line(step: int, stage: StageValidation) -> str:
    """Validation of a stage after a step, as one line."""
    dice = "" if stage.dice is None else f"Dice {stage.dice:.4f}, "
    return (
        f"step {step}, {stage.stage}: {dice}correlation {stage.correlation:.4f}, "
        f"folding {stage.folding_percent:.3g} %"
    )


def _show_needs(needs: DryRun) -> None:
    """Shows the memory, disk and time that a training needs, and its first losses."""
    table = Table("", "needs", "has")
    available = needs.memory_bytes, needs.memory_available_bytes
    table.add_row("memory", *(f"{n / 1e9:.1f} GB" for n in available))
    table.add_row("disk", f"{needs.disk_bytes / 1e9:.1f} GB", "enough")
    hours, minutes = divmod(round(needs.seconds / 60), 60)
    table.add_row("time, if nothing else runs", f"{hours} h {minutes} min", "")
    console.print(table)
    terms = ", ".join(f"{name} {value:.4f}" for name, value in needs.losses.items())
    console.print(f"{needs.scans} scans can be used. {needs.weights} weights.")
    console.print(f"First losses: {terms}")

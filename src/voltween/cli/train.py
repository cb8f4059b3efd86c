"""The commands that make models: plan and train."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import cases_of_split, read_manifest
from voltween.errors import InputError
from voltween.networks import CascadeConfig, NetworkConfig, VoxelMorphConfig
from voltween.preprocessing import Placement, Preprocessing
from voltween.training import (
    FLOW_MULTIPLIER,
    SUPERVISED,
    VOXELMORPH_TRAINING,
    Hardware,
    Recipe,
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
    """Train a network on the `train` cases of a cohort, choosing on its `val` cases.

    Give a plan (see `voltween plan`), or a manifest and settings as options: a CSV with
    columns case, image, split (train, val, test), and maybe labels and points. A run
    that was cut short goes on where it was: give the same command again. The best model
    is best.safetensors in the folder.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST_OR_PLAN")]
    """CSV of cases, or TOML of settings, which then come from there alone."""
    out: Path
    """Folder of the run."""
    network: NetworkName = "vtn"
    """vtn: the cascade. voxelmorph-2, to compare with (needs voltween[baselines]): by
    default 5000 steps of 4 pairs, with its authors' objective."""
    cascade: str = "ADD"
    """Subnetworks: at most one A (affine), then any number of D (dense)."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the network's grid along R, A, S; fitted to the cohort if not given."""
    spacing_mm: tuple[float, float, float] | None = None
    """Voxel size of that grid; fitted to the cohort if not given."""
    placement: Placement = "grid centre"
    """Where the grid goes on each scan: its middle, the upper part of a head, or the
    middle of what is bright."""
    hounsfield_window: tuple[float, float] | None = None
    """For CT: Hounsfield units that become 0 and 1, such as -300 700."""
    channels: int = 16
    """Channels after the first halving."""
    levels: int = 6
    """Halvings of the grid, fewer where its shape does not allow as many."""
    flow_multiplier: float = FLOW_MULTIPLIER
    """Factor on the output of every dense subnetwork: how fast flows grow."""
    supervised: bool = False
    """Learn flows that ANTs finds (needs voltween[baselines]), with the paper's weights
    for that; other losses are not used."""
    dry_run: bool = False
    """Only read all scans, take a few steps, and say what the training will need."""
    cache: Path | None = None
    """Folder where scans are kept on the network's grid; in --out if not given."""
    hardware: Annotated[Hardware, tyro.conf.arg(name="")] = field(
        default_factory=Hardware
    )
    training: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(
        default_factory=TrainConfig
    )

    def run(self) -> None:
        """Train, or see what it would take."""
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
            found = try_training(cases, recipe, **run)
            if console.is_first_process():
                console.show_dry_run(found)
            return
        with console.training_progress(recipe.training.steps) as on_step:
            best = train(cases, recipe, on_step=on_step, **run)
        if console.is_first_process():
            console.console.print(f"The best model is {best}")

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


def train_command(network: NetworkName) -> Callable[..., Train]:
    """`Train` with the defaults of a network, for the command line to fill in."""
    return partial(Train, training=_TRAINING[network], hardware=Hardware())


def _as_typed(options: list[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)

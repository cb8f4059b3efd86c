"""The folder of a training run: states to resume from, logs, the best model.

state-00000200.safetensors   weights and optimizer; the latest ones are kept
best.safetensors             the best model so far, to register with
log.csv                      loss terms of every step
validation.csv               Dice, correlation, folding of every stage
recipe.json                  all that decides the result, and where it ran
progress.png, tensorboard/   the same as pictures
"""

import csv
import json
import logging
import os
import platform
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from voltween.errors import InputError
from voltween.files import output_folder, whole_file
from voltween.models import (
    Model,
    network_tensors,
    read_tensors,
    save_model,
    tensors_under,
    write_tensors,
)
from voltween.networks import Network
from voltween.ops import instruction_set
from voltween.training.validation import StageValidation

logger = logging.getLogger(__name__)

LOG = "log.csv"
VALIDATION = "validation.csv"
_STATE = "state-{:08d}.safetensors"
_ADAM = "optimizer."
_PACKAGES = (
    "voltween",
    "torch",
    "numpy",
    "scipy",
    "SimpleITK",
    "lightning-fabric",
    "antspyx",  # target flows come from it
    "voxelmorph",  # its network,
    "neurite",  # and the layers of that
)


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    step: int = 0
    best: float | None = None
    """Merit of the best model so far."""
    without_better: int = 0
    """Validations since then."""


class RunFolder:
    """What a run leaves on disk. Every file appears whole or not at all."""

    def __init__(self, path: Path, recipe: dict[str, Any], kept_states: int) -> None:
        self.path = output_folder(path)
        self._recipe = recipe
        self._kept_states = kept_states

    @property
    def best(self) -> Path:
        """File of the best model."""
        return self.path / "best.safetensors"

    @property
    def states(self) -> list[Path]:
        """Files to resume from, the latest last."""
        return sorted(self.path.glob("state-*.safetensors"))

    def resume(self, network: Network, optimizer: torch.optim.Optimizer) -> Progress:
        """Load the latest state into network and optimizer; where the run stands.

        A damaged state is passed over, with a warning, for the one before it.

        Raises:
            InputError: If the folder holds a run of another recipe, or all of its
                states are damaged.
        """
        if not self.states:
            return Progress()
        tensors, description = self._latest_state()
        self._check_recipe(description["recipe"])
        network.load_state_dict(tensors_under("network.", tensors))
        _load_optimizer(optimizer, tensors_under(_ADAM, tensors))
        progress = Progress(**description["progress"])
        logger.info("going on from step %d of %s", progress.step, self.path)
        return progress

    def begin(self, progress: Progress, environment: dict[str, Any]) -> None:
        """Write the recipe; drop what the logs say of steps that will be done again."""
        for name in (LOG, VALIDATION):
            _cut(self.path / name, progress.step)
        facts = {"recipe": self._recipe, "environment": environment}
        with whole_file(self.path / "recipe.json") as partial:
            partial.write_text(json.dumps(facts, indent=1))

    def save_state(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
    ) -> None:
        """Write a state to resume from; the oldest goes."""
        tensors = network_tensors(network)
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"{_ADAM}{index}.{name}"] = value
        description = {"recipe": self._recipe, "progress": asdict(progress)}
        path = self.path / _STATE.format(progress.step)
        write_tensors(path, tensors, description)
        for old in self.states[: -self._kept_states]:
            old.unlink()

    def save_best(self, network: Network, preprocessing: Any, figures: dict) -> None:
        """Write the best model, with the recipe and what it reached."""
        model = Model("best", network, preprocessing, self._recipe | figures)
        save_model(model, self.best)

    def log_losses(self, step: int, losses: dict[str, float]) -> None:
        """One row more in log.csv."""
        _append(self.path / LOG, ["step", *losses], [[step, *losses.values()]])

    def log_validation(self, step: int, stages: Sequence[StageValidation]) -> None:
        """One row a stage more in validation.csv."""
        columns = ["step", *asdict(stages[0])]
        rows = [[step, *asdict(stage).values()] for stage in stages]
        _append(self.path / VALIDATION, columns, rows)

    def _latest_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        *earlier, latest = self.states
        for path in [latest, *reversed(earlier)]:
            try:
                return read_tensors(path)
            except InputError as error:
                warnings.warn(f"{error}: passed over", stacklevel=3)
        raise InputError(
            f"{self.path}: all states to resume from are damaged: give another folder, "
            "or start from best.safetensors with --start-from"
        )

    def _check_recipe(self, found: dict[str, Any]) -> None:
        different = [
            key for key, value in self._recipe.items() if found.get(key) != value
        ]
        if different:
            raise InputError(
                f"{self.path}: holds a run with other settings "
                f"({', '.join(different)}): give another folder, or the settings of "
                "that run to go on with it"
            )


def environment() -> dict[str, Any]:
    """What a run depends on beside its recipe, for whoever wants to repeat it."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": {name: _installed(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "instructions": instruction_set(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def _installed(package: str) -> str | None:
    """Version of a package; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _append(path: Path, columns: list[str], rows: list[list]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(columns)
        writer.writerows(rows)


def _cut(path: Path, step: int) -> None:
    """Drop the rows of later steps; a row cut short by a kill is one of them."""
    if not path.exists():
        return
    if step == 0:
        path.unlink()
        return
    header, *rows = path.read_text().splitlines(keepends=True)
    kept = [
        row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step
    ]
    with whole_file(path) as partial:
        partial.write_text("".join([header, *kept]))

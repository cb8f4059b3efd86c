"""The folder of a training run: states to resume from, logs, the best model.

state-00000200.safetensors   weights and optimizer; the latest are kept
best.safetensors             the best model so far, to register with
log.csv                      loss terms of every step
validation.csv               Dice, correlation and folding of every stage
recipe.json                  everything that decides the result, and the machine
progress.png, tensorboard/   both tables as curves
"""

import csv
import json
import logging
import os
import platform
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from voltween import process
from voltween.errors import InputError
from voltween.models import (
    Model,
    dataclass_from_facts,
    different_settings,
    in_one_line,
    network_tensors,
    read_tensors,
    save_model,
    tensors_under,
    write_tensors,
)
from voltween.networks import Network, config_facts, config_from_facts
from voltween.ops import instruction_set
from voltween.preprocessing import Preprocessing
from voltween.storage import check_is_no_input, csv_cell, output_folder, whole_file
from voltween.training.recipe import TrainConfig
from voltween.training.validation import StageValidation

logger = logging.getLogger(__name__)

LOG = "log.csv"
VALIDATION = "validation.csv"
CURVES = "progress.png"
_STATE = "state-{:08d}.safetensors"
BEST = "best.safetensors"
RECIPE = "recipe.json"
_FILES = (LOG, VALIDATION, CURVES, BEST, RECIPE)  # beside states and TensorBoard's
_CASES = ("train_cases", "val_cases")
_ADAM = "optimizer."
_AVERAGE = "average."
_PACKAGES = (
    "voltween",
    "torch",
    "numpy",
    "scipy",
    "SimpleITK",
    "lightning-fabric",
    "antspyx",  # finds target flows
    "voxelmorph",  # has the network VoxelMorph-2
    "neurite",  # has the layers of that network
)


@dataclass(frozen=True)
class Progress:
    """The progress of a run."""

    step: int = 0
    """Number of steps taken."""
    best: float | None = None
    """Merit of the best model so far; None before the first validation."""
    without_better: int = 0
    """Number of validations since the best model."""


class RunFolder:
    """The files of a run. States, models and the recipe appear whole or not at all.

    The tables grow row by row; rows that a later run takes again are cut.

    Raises:
        InputError: If one of the files is an input of the command.
        OutputError: If the folder cannot be made or written to.
    """

    def __init__(self, path: Path, recipe: dict[str, Any], kept_states: int) -> None:
        for name in _FILES:
            check_is_no_input(path / name)
        self.path = output_folder(path)
        self._recipe = recipe
        self._kept_states = kept_states

    @property
    def best(self) -> Path:
        """File of the best model."""
        return self.path / BEST

    @property
    def states(self) -> list[Path]:
        """Files to resume from, the latest last."""
        return states_in(self.path)

    def resume(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        average: AveragedModel | None = None,
    ) -> Progress:
        """Loads the latest state, that of the mean too; returns its progress.

        A damaged state is skipped with a warning, and the one before it is used.

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
        if average is not None:
            average.load_state_dict(tensors_under(_AVERAGE, tensors))
        progress = dataclass_from_facts(Progress, description["progress"], "progress")
        logger.info("resuming at step %d of %s", progress.step, self.path)
        return progress

    def begin(
        self,
        progress: Progress,
        environment: dict[str, Any],
        remarks: Sequence[str] = (),
    ) -> None:
        """Writes the recipe with its remarks, and cuts the tables after the last step.

        The last step is the last one already taken.
        """
        for name in (LOG, VALIDATION):
            _cut_table(self.path / name, progress.step)
        facts = {
            "recipe": self._recipe,
            "remarks": list(remarks),
            "environment": environment,
        }
        with whole_file(self.path / RECIPE) as partial:
            partial.write_text(json.dumps(facts, indent=1))

    def save_state(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        average: AveragedModel | None = None,
    ) -> None:
        """Writes a state to resume from, and deletes the oldest."""
        tensors = network_tensors(network)
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"{_ADAM}{index}.{name}"] = value
        if average is not None:
            mean = average.state_dict()
            tensors |= {f"{_AVERAGE}{name}": value for name, value in mean.items()}
        description = {"recipe": self._recipe, "progress": asdict(progress)}
        path = self.path / _STATE.format(progress.step)
        write_tensors(path, tensors, description)
        for old in self.states[: -self._kept_states]:
            old.unlink()

    def save_best(self, model: Model) -> None:
        """Writes the best model; the recipe goes before its figures as provenance.

        Names of cases and folders, which may tell who was scanned, are left out.
        """
        provenance = without_names(self._recipe) | model.provenance
        save_model(replace(model, provenance=provenance), self.best)

    def log_losses(self, step: int, losses: dict[str, float]) -> None:
        """Appends a row to log.csv."""
        _append_rows(self.path / LOG, ["step", *losses], [[step, *losses.values()]])

    def log_validation(self, step: int, stages: Sequence[StageValidation]) -> None:
        """Appends one row per stage to validation.csv."""
        columns = ["step", *asdict(stages[0])]
        rows = [[step, *asdict(stage).values()] for stage in stages]
        _append_rows(self.path / VALIDATION, columns, rows)

    def _latest_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        *earlier, latest = self.states
        for path in [latest, *reversed(earlier)]:
            try:
                return read_tensors(path)
            except InputError as error:
                warnings.warn(f"{error}: skipped", stacklevel=3)
        raise InputError(
            about=self.path,
            expected="a state to resume from",
            got="damaged states only",
            advice="give another folder, or start from best.safetensors with "
            "--start-from",
        )

    def _check_recipe(self, stored: dict[str, Any]) -> None:
        known = _with_patience(_with_new_settings(stored), self._recipe)
        different = different_settings(known, self._recipe)
        if different:
            raise InputError(
                about=self.path,
                expected="a run of the same recipe",
                got=f"one with other settings ({in_one_line(different)})",
                advice="give another folder, or the settings of that run to resume it",
            )


def states_in(run: Path) -> list[Path]:
    """The states in the folder of a run, the latest last."""
    return sorted(run.glob("state-*.safetensors"))


def step_of_state(path: Path) -> int:
    """The step of a state, by the name of its file; 0 if it states none."""
    digits = path.name.removeprefix("state-").removesuffix(".safetensors")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def without_names(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe for others: the number of cases, not their names, and no folders.

    The names of cases stay if the recipe says so.
    """
    training = recipe["training"]
    kept = dict(recipe)
    for key in _CASES:
        if key in recipe:
            kept[key.replace("cases", "scans")] = len(recipe[key])
            if not training.get("names_cases"):
                del kept[key]
    files = {
        key: Path(training[key]).name
        for key in ("start_from", "teacher")
        if training.get(key) is not None
    }
    return kept | {"training": training | files}


def environment() -> dict[str, Any]:
    """Versions and machine of a run, for those who want to repeat it."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "versions": {name: process.installed_version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "instructions": instruction_set(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
    }


def _with_new_settings(stored: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a run with the defaults of settings that are newer than the run."""
    try:
        parts = {"training": TrainConfig, "preprocessing": Preprocessing}
        facts = {
            **{n: asdict(dataclass_from_facts(k, stored[n])) for n, k in parts.items()},
            **config_facts(config_from_facts(stored)),
        }
    except (KeyError, TypeError, InputError):  # a setting that no longer exists
        return stored
    return stored | json.loads(json.dumps(facts, default=str))


def _with_patience(stored: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a run with the patience of another one.

    Patience decides how many steps are taken and changes none of them: a run that ran
    out of it goes on with more.
    """
    patience = {k: v for k, v in recipe["training"].items() if k == "patience"}
    return stored | {"training": stored.get("training", {}) | patience}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _append_rows(path: Path, columns: list[str], rows: list[list]) -> None:
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(columns)
        writer.writerows([csv_cell(value) for value in row] for row in rows)


def _cut_table(path: Path, step: int) -> None:
    """Removes the rows of later steps, and rows that a kill or an edit has damaged."""
    if not path.exists():
        return
    if step == 0:
        path.unlink()
        return
    text = path.read_bytes().decode("utf-8", "replace")
    header, *rows = text.splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and 0 <= _step_of(row) <= step]
    with whole_file(path) as partial:
        partial.write_text("".join([header, *kept]), encoding="utf-8")


def _step_of(row: str) -> int:
    """The step of a row of a table; -1 if it states none."""
    first = row.split(",")[0]
    return int(first) if first.isascii() and first.isdigit() else -1

"""The training loop (paper section V): random ordered pairs, Adam, halved rates.

Each step's pairs and augmentation depend on the seed and the step alone, so a run that
was killed and resumed is the run that was not.
"""

import csv
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from voltween.augment import Augmentation
from voltween.batches import draw_batch
from voltween.checkpoint import (
    Model,
    network_tensors,
    read_tensors,
    save_model,
    tensors_under,
    write_tensors,
)
from voltween.data import Case, Sample, cases_of_split, load_samples
from voltween.errors import InputError
from voltween.files import output_folder, whole_file
from voltween.metrics import dice_per_label
from voltween.networks import CascadeConfig, Tweening, VolumeTweeningNetwork
from voltween.objective import VTN_LIVER, Objective, pair_losses, total_loss
from voltween.preprocess import Preprocessing
from voltween.warp import warp_nearest

Precision = Literal["fp32", "bf16"]
logger = logging.getLogger(__name__)

_EPOCHS = 5
_FULL_RATE_EPOCHS = 4
_STATE_FILE = "last.safetensors"
_BEST_FILE = "best.safetensors"
_LOG_FILE = "log.csv"


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are the paper's where two CPU cores allow.

    Raises:
        InputError: If a number is out of range.
    """

    steps: int = 2000
    """Steps in all. The learning rate is halved after four fifths of them (the paper:
    5 epochs, halved every epoch after the 4th)."""
    pairs_per_step: int = 2
    """Pairs in a batch."""
    learning_rate: float = 1e-4
    """Of Adam, at the start."""
    objective: Objective = VTN_LIVER
    augmentation: Augmentation = field(default_factory=Augmentation)
    masked_share: float = 0.0
    """Share of pairs in which both images are masked by labels > 0."""
    seed: int = 0
    """Of weights, pairs and augmentation."""
    precision: Precision = "fp32"
    """Of features: bf16 is faster on processors with AMX and halves their memory.
    Weights, flows, warps and losses are in single precision in any case."""
    recompute_features: bool = False
    """Compute features anew for the gradients: less memory, a third more time."""
    validate_every: int = 200
    """Steps between validations; each also saves the state to resume from."""
    validation_pairs: int = 20
    """Ordered pairs of `val` cases for the validation Dice."""

    def __post_init__(self) -> None:
        for name in ("steps", "pairs_per_step", "validate_every", "validation_pairs"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 <= self.masked_share <= 1:
            raise InputError(f"masked_share must be 0 to 1, got {self.masked_share}")


@dataclass(frozen=True)
class StepReport:
    """What a step did: loss terms, and the validation Dice if it was measured."""

    step: int
    losses: dict[str, float]
    validation_dice: float | None


@dataclass(frozen=True, eq=False)
class Cohort:
    """Samples for training and validation; the inner lists are plain and masked."""

    train: list[list[Sample]]
    val: list[Sample]


def train(
    cases: Sequence[Case],
    *,
    cascade: CascadeConfig,
    preprocessing: Preprocessing,
    config: TrainConfig,
    out: Path,
    on_step: Callable[[StepReport], None] = lambda report: None,
) -> Path:
    """Train a cascade on the `train` cases; returns the file of the best model.

    Best is the highest mean Dice on pairs of `val` cases on the network's grid, or the
    latest model where they have no labels. If `out` holds a run of the same
    configuration that was cut short, it goes on from there with the same result.

    Raises:
        InputError: If the cases cannot be used, `out` cannot be written to or holds a
            run of another configuration, or the loss is not finite.
    """
    out = output_folder(out)
    recipe = _recipe(cases, cascade, preprocessing, config)
    torch.manual_seed(config.seed)
    network = VolumeTweeningNetwork(cascade)
    network.recomputes_features = config.recompute_features
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.learning_rate, fused=True
    )
    start, best_dice = _resume(out, network, optimizer, recipe)
    cohort = _load_cohort(cases, preprocessing, config)
    for step in range(start + 1, config.steps + 1):
        losses = _take_step(network, optimizer, cohort, config, step)
        if step < config.steps and step % config.validate_every:
            _report(StepReport(step, losses, None), out, on_step)
            continue
        dice = validation_dice(network, cohort.val, config.validation_pairs)
        if best_dice is None or dice is None or dice >= best_dice:
            best_dice = dice
            figures = {"steps": step, "validation_dice_on_network_grid": dice}
            best = Model("best", network, preprocessing, recipe | figures)
            save_model(best, out / _BEST_FILE)
        _report(StepReport(step, losses, dice), out, on_step)
        progress = {"step": step, "best_dice": best_dice}
        _save_state(out / _STATE_FILE, network, optimizer, recipe | progress)
    return out / _BEST_FILE


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of a step (from 1): constant for 4 of 5 epochs, then halved every epoch."""
    epoch = (step - 1) * _EPOCHS // config.steps
    return config.learning_rate * 0.5 ** max(0, epoch - _FULL_RATE_EPOCHS + 1)


def validation_dice(
    network: VolumeTweeningNetwork, samples: Sequence[Sample], pairs: int
) -> float | None:
    """Mean Dice over labels and pairs on the network's grid; None without labels.

    The pairs are the same ones in every call with the same samples.
    """
    labelled = [sample for sample in samples if sample.labels is not None]
    if len(labelled) < 2:
        return None
    ordered = [(f, m) for f in labelled for m in labelled if f is not m]
    chosen = np.random.default_rng(0).permutation(len(ordered))[:pairs]
    return float(np.mean([_pair_dice(network, *ordered[n]) for n in chosen]))


def _take_step(
    network: VolumeTweeningNetwork,
    optimizer: torch.optim.Optimizer,
    cohort: Cohort,
    config: TrainConfig,
    step: int,
) -> dict[str, float]:
    batch = draw_batch(
        cohort.train,
        config.augmentation,
        np.random.default_rng([config.seed, step]),
        pairs=config.pairs_per_step,
        masked_share=config.masked_share,
        has_labels=config.objective.has_overlap,
    )
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
    run = _in_precision(network, config.precision)
    terms = pair_losses(run, batch.pairs, config.objective)
    loss = total_loss(terms)
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss is not finite at step {step} (pairs {batch.names}): "
            f"{_STATE_FILE} in the run's folder is the last good state; start again "
            "with a lower learning rate"
        )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return {name: float(term.detach()) for name, term in terms.items()}


def _in_precision(
    network: VolumeTweeningNetwork, precision: Precision
) -> Callable[[Tensor, Tensor], Tweening]:
    """The network with its features in that precision; losses stay outside."""

    def run(fixed: Tensor, moving: Tensor) -> Tweening:
        is_half = precision == "bf16"
        with torch.autocast(fixed.device.type, torch.bfloat16, enabled=is_half):
            return network(fixed, moving)

    return run


def _pair_dice(network: VolumeTweeningNetwork, fixed: Sample, moving: Sample) -> float:
    assert fixed.labels is not None
    assert moving.labels is not None
    with torch.inference_mode():
        flow = network(fixed.image[None], moving.image[None]).flow
        moved = warp_nearest(moving.labels[None].float(), flow)[0, 0].int()
    dice = dice_per_label(fixed.labels[0].numpy(), moved.numpy())
    return float(np.mean(list(dice.values())))


def _load_cohort(
    cases: Sequence[Case], preprocessing: Preprocessing, config: TrainConfig
) -> Cohort:
    chosen = cases_of_split(cases, "train")
    unlabelled = [case.name for case in chosen if case.labels is None]
    if config.objective.has_overlap and unlabelled:
        raise InputError(
            "an overlap term needs labels of every training case; these have none: "
            f"{', '.join(unlabelled)}"
        )
    train_variants = [load_samples(chosen, preprocessing)]
    if config.masked_share > 0:
        train_variants.append(load_samples(chosen, preprocessing, is_masked=True))
    val = [case for case in cases if case.split == "val"]
    return Cohort(train_variants, load_samples(val, preprocessing))


def _recipe(
    cases: Sequence[Case],
    cascade: CascadeConfig,
    preprocessing: Preprocessing,
    config: TrainConfig,
) -> dict[str, Any]:
    """All that decides the run's result, as JSON types."""
    return {
        "voltween": version("voltween"),
        "torch": torch.__version__,
        "train_cases": [case.name for case in cases if case.split == "train"],
        "val_cases": [case.name for case in cases if case.split == "val"],
        "cascade": _json(asdict(cascade)),
        "preprocessing": _json(asdict(preprocessing)),
        "training": _json(asdict(config)),
    }


def _resume(
    out: Path,
    network: VolumeTweeningNetwork,
    optimizer: torch.optim.Optimizer,
    recipe: dict[str, Any],
) -> tuple[int, float | None]:
    """Steps done and best Dice so far; loads the state of a run that was cut short."""
    if not (out / _STATE_FILE).is_file():
        (out / _LOG_FILE).unlink(missing_ok=True)
        return 0, None
    tensors, description = read_tensors(out / _STATE_FILE)
    different = [key for key, value in recipe.items() if description.get(key) != value]
    if different:
        raise InputError(
            f"{out}: holds a run with other settings ({', '.join(different)}): give "
            "another folder, or the settings of that run to go on with it"
        )
    network.load_state_dict(tensors_under("network.", tensors))
    _load_optimizer(optimizer, tensors_under("optimizer.", tensors))
    step = int(description["step"])
    _cut_log(out / _LOG_FILE, step)
    logger.info("going on from step %d of %s", step, out)
    return step, description["best_dice"]


def _save_state(
    path: Path,
    network: VolumeTweeningNetwork,
    optimizer: torch.optim.Optimizer,
    description: dict[str, Any],
) -> None:
    tensors = network_tensors(network)
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = value
    write_tensors(path, tensors, description)


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _report(
    report: StepReport, out: Path, on_step: Callable[[StepReport], None]
) -> None:
    path = out / _LOG_FILE
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", *report.losses, "validation dice"])
        dice = "" if report.validation_dice is None else report.validation_dice
        writer.writerow([report.step, *report.losses.values(), dice])
    on_step(report)


def _cut_log(path: Path, step: int) -> None:
    """Drop the rows of steps after the saved state; they will be done again."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    with whole_file(path) as partial:
        partial.write_text("".join(lines[: step + 1]))


def _json(value: Any) -> Any:
    """The value as it comes back from JSON (tuples become lists)."""
    return json.loads(json.dumps(value))

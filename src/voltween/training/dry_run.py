"""A few steps of a training, thrown away: whether it will run, and for how long."""

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from voltween.cohorts import Case, check_scans
from voltween.process import machine_bytes
from voltween.storage import check_free_space, output_folder, workspace
from voltween.training.batches import batches
from voltween.training.hardware import Hardware
from voltween.training.loop import Training
from voltween.training.recipe import Recipe, TrainConfig
from voltween.training.training_data import load_training_data

_STEPS = 4  # the first is slower than the others
_VALIDATION_PAIRS = 2
_BYTES_PER_WEIGHT = 12  # in a state: the weight and Adam's two moments
_BYTES_PER_MEAN = 4  # of a weight over steps, if the training keeps it


@dataclass(frozen=True)
class DryRun:
    """The resources that a training will need."""

    scans: int
    """Number of usable scans."""
    weights: int
    """Number of weights of the network."""
    losses: dict[str, float]
    """Loss terms of the last step that was tried."""
    seconds: float
    """Estimated time of the whole run, on a machine that does nothing else."""
    memory_bytes: int
    """Peak memory so far, of this process or of the GPU."""
    memory_available_bytes: int | None
    """Memory of the machine or of the GPU; None where it cannot be asked."""
    disk_bytes: int
    """Space for states and models, in addition to the cache."""


def try_training(
    cases: Sequence[Case],
    recipe: Recipe,
    *,
    out: Path,
    hardware: Hardware | None = None,
    cache: Path | None = None,
    steps: int = _STEPS,
) -> DryRun:
    """Reads every scan, takes a few steps and validates two pairs.

    The `test` cases are read as well: their labels must lie on their scans.
    Only the scans on their canonical grids are kept, in the cache, for the run itself.
    The estimate is that of the fastest of the `steps`.

    Raises:
        InputError: If a case cannot be used, or the first losses are not finite.
        OutputError: If the disk is too small.
    """
    hardware = hardware or Hardware()
    config = recipe.training
    fabric = hardware.fabric(config.precision)
    cache = cache or out / "cache"
    if fabric.is_global_zero:
        check_scans(case for case in cases if case.split == "test")
    with workspace() as folder:
        training = Training(cases, recipe, out=folder, fabric=fabric)
        data = load_training_data(
            cases, recipe, cache, fabric, workers=hardware.workers
        )
        prepared = batches(data.pairs, training.share, first_step=1, workers=0)
        step_seconds, losses = [], {}
        for step in range(1, min(steps, config.steps) + 1):
            start = time.perf_counter()
            losses = training.take_step(step, next(prepared))
            step_seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        training.validate(data.val[:_VALIDATION_PAIRS])
        validation_seconds = time.perf_counter() - start
    weights = sum(weight.numel() for weight in training.network.parameters())
    bytes_per_weight = _BYTES_PER_WEIGHT
    if training.average is not None:
        bytes_per_weight += _BYTES_PER_MEAN
    disk_bytes = weights * bytes_per_weight * (config.kept_states + 1)
    check_free_space(output_folder(out) / "states", disk_bytes)
    validated_pairs = _validated_pairs(config, len(data.val))
    return DryRun(
        scans=sum(case.split in ("train", "val") for case in cases),
        weights=weights,
        losses=losses,
        seconds=min(step_seconds) * config.steps
        + validation_seconds / _VALIDATION_PAIRS * validated_pairs,
        memory_bytes=_peak_bytes(fabric.device),
        memory_available_bytes=_available_bytes(fabric.device),
        disk_bytes=disk_bytes,
    )


def _validated_pairs(config: TrainConfig, cases: int) -> int:
    """Number of pairs in all validations of a run.

    A pair that is also shown inverted is one: the time of those tried has both.
    """
    validations = -(-config.steps // config.validate_every)
    return min(config.validation_pairs, cases * (cases - 1)) * validations


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _available_bytes(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return machine_bytes()

"""A few steps of a training, thrown away: whether it will run, for how long."""

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from voltween.cohorts import Case
from voltween.files import check_free_space, output_folder
from voltween.training.batches import batches
from voltween.training.hardware import Hardware
from voltween.training.loop import Training, load_training_data
from voltween.training.recipe import Recipe

_STEPS = 3  # after one that is not timed
_VALIDATION_PAIRS = 2
_BYTES_PER_WEIGHT = 12  # in a state: the weight and Adam's two moments


@dataclass(frozen=True)
class DryRun:
    """What a training will need."""

    scans: int
    """That were read and are usable."""
    weights: int
    """Numbers that are learnt."""
    losses: dict[str, float]
    """Loss terms of the last step that was tried."""
    seconds: float
    """For the whole run, if nothing else runs."""
    memory_bytes: int
    """At most so far, of this process or of the GPU."""
    memory_available_bytes: int
    disk_bytes: int
    """For states and models, beside the cache."""


def try_training(
    cases: Sequence[Case],
    recipe: Recipe,
    *,
    out: Path,
    hardware: Hardware | None = None,
    cache: Path | None = None,
) -> DryRun:
    """Read every scan, take a few steps, validate two pairs; nothing is kept of them.

    The scans on their canonical grids stay in the cache, for the run itself.

    Raises:
        InputError: If a case cannot be used, the first losses are not finite, or the
            disk is too small.
    """
    hardware = hardware or Hardware()
    config = recipe.training
    fabric = hardware.fabric(config.precision)
    cache = cache or out / "cache"
    with TemporaryDirectory() as folder:
        training = Training(cases, recipe, out=Path(folder), fabric=fabric)
        data = load_training_data(cases, recipe, cache, fabric)
        prepared = batches(data.pairs, training.share, first_step=1, workers=0)
        times, losses = [], {}
        for step in range(1, min(_STEPS + 1, config.steps) + 1):
            start = time.perf_counter()
            losses = training.take_step(step, next(prepared))
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        training.validate(data.val[:_VALIDATION_PAIRS])
        for_validation = time.perf_counter() - start
    weights = sum(weight.numel() for weight in training.network.parameters())
    disk_bytes = weights * _BYTES_PER_WEIGHT * (config.kept_states + 1)
    check_free_space(output_folder(out) / "states", disk_bytes)
    validations = -(-config.steps // config.validate_every)
    pairs = min(config.validation_pairs, len(data.val) * (len(data.val) - 1))
    return DryRun(
        scans=len(data.pairs.plain) + len(data.val),
        weights=weights,
        losses=losses,
        seconds=min(times) * config.steps
        + for_validation / _VALIDATION_PAIRS * pairs * validations,
        memory_bytes=_peak_bytes(fabric.device),
        memory_available_bytes=_available_bytes(fabric.device),
        disk_bytes=disk_bytes,
    )


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _available_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
